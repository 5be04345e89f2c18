"""What is done to a server of one's own: benchmarks, drills, the lesson, and the view of its workers."""
