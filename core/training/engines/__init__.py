"""Where jobs run: on this machine, on a Ray cluster, on Kubernetes."""
