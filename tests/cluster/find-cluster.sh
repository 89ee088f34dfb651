# Sourced by kubectl, helm and enter: finds the cluster named by $CLUSTER that
# runs. Shell, because these are called often, and the big binary takes longer
# to start than they take to run.
name=${CLUSTER:-visnyk}
folder=${VISNYK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/visnyk}/clusters/$name
fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}
if ! read -r pid started 2>/dev/null <"$folder/supervisor"; then
	fail "no cluster $name in $folder: make cluster-up CLUSTER=$name starts one"
fi
# The id may be another process's by now: its start time tells (field 22, counted
# behind the name in brackets, which may hold spaces).
stat=$(cat "/proc/$pid/stat" 2>/dev/null) || stat=
# shellcheck disable=SC2086 # the fields are to be split
running=$(set -- ${stat##*) } && echo "${20-}")
[ "$running" = "$started" ] || fail "cluster $name has stopped: make cluster-up CLUSTER=$name starts it again"
network=/proc/$pid/ns/net
export KUBECONFIG="$folder/kubeconfig"
