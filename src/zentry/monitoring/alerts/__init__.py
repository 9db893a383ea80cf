"""Alert policies: what an account wants to be told of, judged on a timer, told once for each change."""
