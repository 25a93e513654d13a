#!/usr/bin/env bash
# Runs make targets one after the other, all of them even if one fails, and ends with a line for each and one for the whole.
set -uo pipefail
cd "$(dirname "$0")/.."
results=()
failed=0
started=$SECONDS

for target in "$@"; do
    printf '\n== %s\n' "$target"
    at=$SECONDS
    if make --no-print-directory "$target"; then result=passed; else result=FAILED failed=1; fi
    results+=("$(printf '%-18s %s in %d s' "$target" "$result" $((SECONDS - at)))")
done

printf '\n'
printf '%s\n' "${results[@]}"
if [ "$failed" = 0 ]; then word=passed; else word=FAILED; fi
printf 'all of it %s in %d s\n' "$word" $((SECONDS - started))
exit "$failed"
