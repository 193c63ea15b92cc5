#!/bin/sh
# Starts the servers that bench/load measures, measures them, and ends them. Flags behind the arguments are bench/load's.
#
#   bench/load/run.sh peer LIBRARY [flags]   bitgpu serve beside llama.cpp, which npm put into LIBRARY: see bench/peers
#   bench/load/run.sh bare MODEL [flags]     bitgpu serve beside the engine without a server
#
# peer makes random weights of the shape FAMILY (1.7B) as a GGUF file of the type TYPE (TQ2_0), which both servers read, in TMPDIR; their
# tokenizer makes a token of nearly each letter, so prompts have an eighth of their words. SLOTS (64) is how many texts are written at once.
set -eu
cd "$(dirname "$0")/../.."
usage() { sed -n 's/^#   //p' "$0" >&2; exit 2; }
test $# -ge 2 || usage
what=$1 of=$2
shift 2
slots=${SLOTS:-64}
dir=$(mktemp -d)
started=
trap 'for p in $started; do kill "$p" 2>/dev/null || :; wait "$p" 2>/dev/null || :; done; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
go build -o "$dir/bitgpu" ./cmd/bitgpu
go build -o "$dir/load" ./bench/load

# wait_for LOG: the address that a server says it is at.
wait_for() {
	while :; do
		address=$(sed -n 's/.* at \(http[^ ,]*\).*/\1/p' "$1" | head -1)
		test -z "$address" || { echo "$address"; return; }
		kill -0 "$2" 2>/dev/null || { cat "$1" >&2; exit 1; }
		sleep 1
	done
}

case $what in
peer)
	"$dir/bitgpu" bench --write-gguf "$dir/random.gguf" --family "${FAMILY:-1.7B}" --type "${TYPE:-TQ2_0}"
	model=$dir/random.gguf
	node bench/peers/llamacpp/serve.mjs --library "$of" --gguf "$model" --parallel "$slots" --context $((1024 * slots)) >"$dir/peer.log" 2>&1 &
	started=$!
	peer=$(wait_for "$dir/peer.log" "$started")
	set -- --divide 8 --peer "$peer" "$@" ;;
bare)
	model=$of
	set -- --bare "$model" "$@" ;;
*) usage ;;
esac
"$dir/bitgpu" serve --model "$model" --backend cpu --port 0 --parallel "$slots" --log-format json >/dev/null 2>"$dir/serve.log" &
started="$started $!"
address=$(wait_for "$dir/serve.log" $!)
uptime
"$dir/load" "$@" "$address"
