"""What shows and tells, given a board: the page, the HTTP API, Prometheus and Grafana."""
