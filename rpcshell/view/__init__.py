"""How things look as text: values, tables, errors, figures and their units. No sockets, no terminal."""
