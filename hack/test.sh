#!/usr/bin/env bash
# Runs rings of tests (make targets), all of them even if one fails, and ends with a line for each and one for the whole.
# Each argument is a lane, "ring ring ...": rings of a lane run one after the other, lanes side by side. The last lane goes
# first where processors are short: it is for the ring that judges what callers notice. Output is in .build/test/RING.log too;
# of what failed the end says it again, for who sees only the end.
set -um -o pipefail # m: a lane is a process group of its own, which an interrupt reaches
cd "$(dirname "$0")/.."
logs=.build/test
mkdir -p "$logs"
results=$(mktemp -d) # not beside the logs: another run of this checkout writes there too
trap 'rm -rf "$results"' EXIT
started=$SECONDS

# One ring by `make`, or by the command before it: its output, each line after the ring's name, and its result into a file.
run() {
    local ring=$1 at=$SECONDS result=passed
    printf '== %s begins\n' "$ring"
    "${@:2}" make --no-print-directory "$ring" 2>&1 | tee "$logs/$ring.log" | sed -u "s/^/$ring | /" || result=FAILED
    printf '%-18s %s in %d s\n' "$ring" "$result" $((SECONDS - at)) | tee "$results/$ring"
}

# What a reader needs of each failure in a ring's log: the assertion and the last lines, with what its processes wrote; bounded.
# Of a ring without such parts, as lint, its last lines.
failures() {
    awk -v most=60 -v parts=8 '
        function say(  at, said) {
            if (name == "" || ++count > parts) return
            printf "---- %s ----\n", name
            for (at = 1; at <= lines - most + 20; at++) if (line[at] ~ /^E  / && said++ < 20) print line[at]
            for (at = lines > most - 20 ? lines - most + 21 : 1; at <= lines; at++) print line[at]
        }
        /^=+ (FAILURES|ERRORS) =+$/ { within = 1; next }
        /^=+ .* =+$/ { say(); name = ""; within = 0 }
        within && /^_+ [^ _].* _+$/ { say(); name = $0; gsub(/^_+ | _+$/, "", name); lines = 0; next }
        within { line[++lines] = $0 }
        { last[NR % 30] = $0 }
        END {
            say()
            if (count > parts) printf "---- and %d more ----\n", count - parts
            if (!count) for (at = NR > 29 ? NR - 29 : 1; at <= NR; at++) print last[at % 30]
        }' "$1" | cut -c1-300
}

lanes=()
stop() {
    trap '' INT TERM
    for signal in INT TERM; do # TERM: for what was started deaf to INT
        for lane in "${lanes[@]}"; do kill "-$signal" -- "-$lane" 2>/dev/null; done
        for _ in {1..150}; do
            [ -n "$(jobs -r)" ] || break 2
            sleep 0.1
        done
    done
    exit 130
}
trap stop INT TERM
for rings in "$@"; do
    first=(nice -n 5)
    [ "${#lanes[@]}" -lt $(($# - 1)) ] || first=()
    (
        trap 'exit 130' INT TERM # or it would go on with the next ring
        for ring in $rings; do run "$ring" "${first[@]}"; done
    ) </dev/null &
    lanes+=($!)
done
wait

for ring in $*; do
    grep -q passed "$results/$ring" || { printf '\n== %s failed\n' "$ring"; failures "$logs/$ring.log"; }
done
printf '\n'
failed=0
for ring in $*; do
    cat "$results/$ring"
    grep -q passed "$results/$ring" && continue
    failed=1
    grep -aE '^(FAILED|ERROR) |^error: |^make.*\*\*\* ' "$logs/$ring.log" | sed 's/^/    /'
done
if [ "$failed" = 0 ]; then word=passed; else word=FAILED; fi
printf 'all of it %s in %d s\n' "$word" $((SECONDS - started))
exit "$failed"
