"""Apps that the lesson's servers serve. The shell never imports them; a server does."""
