"""What `imdlens doctor` looks at before and beside a running service. It changes nothing, and shows no secret."""
