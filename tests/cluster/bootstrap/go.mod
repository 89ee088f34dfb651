module visnyk.dev/cluster/bootstrap

go 1.26.0
