#!/bin/sh
# Writes docs/cli.md from the programs' own help: docs/cli.sh BIN_DIR > docs/cli.md
set -eu
bin=$1

page() {
    printf '\n%s `%s`\n\n```text\n' "$1" "$2"
    shift 2
    COLUMNS=100 "$@" -h | sed 's/[[:space:]]*$//' |
        # What every command takes stands once, at the top.
        sed '/^  *--context <FILE>/d; /^  *-h, --help /d; /^  *-V, --version /d' |
        sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' | sed '/^Options:$/{N;/\nOptions:$/d;s/^Options:\n$//;}' | cat -s
    printf '```\n'
}

commands() {
    "$@" -h | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on && $1 != "help" { print $1 }'
}

cat <<'HEAD'
# Command line

Made from the programs' own help by `docs/cli.sh`; do not edit. `dockmaster man DIR` writes the same as manual
pages, `dockmaster completions SHELL` a completion script.

Every command of `dockmaster` takes `--context FILE` (or `DOCKMASTER_CONTEXT`): the file that says how to reach
the master and who is asking. `init`, `serve`, `quickstart`, `site check`, `policy check`, `policy test`, `compile`,
`restore`, `audit check` with a key, `audit verify --data`, `completions` and `man` work without it; `host run` takes the file that
`host enroll` wrote. All take `-h` (this text), `--help` (more) and `-V`.

| exit code | |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage, or settings that cannot be used |
| 3 | refused: by policy, by an operator, or since the host was evicted |
| 4 | the master cannot be reached |

`dockmaster-agent run` exits as its application does: its status, or 128 and the signal's number. Without an
application it exits with 0 when it is told to end.

Listings take `-o table|json|yaml`. JSON keys are in snake_case; their meaning stands in [api.md](api.md). Times in
tables are UTC. Errors go to standard error: what, which, what next.
HEAD

page '##' dockmaster "$bin/dockmaster"
for command in $(commands "$bin/dockmaster"); do
    page '##' "dockmaster $command" "$bin/dockmaster" "$command"
    for child in $(commands "$bin/dockmaster" "$command"); do
        page '###' "dockmaster $command $child" "$bin/dockmaster" "$command" "$child"
    done
done
page '##' dockmaster-agent "$bin/dockmaster-agent"
for command in $(commands "$bin/dockmaster-agent"); do
    # The settings stand with dockmaster-agent itself.
    page '###' "dockmaster-agent $command" "$bin/dockmaster-agent" "$command" |
        sed '/^      --\(master\|trust\|trust-file\|token-file\|machine-id\|run-dir\|bind\|root\) </d' |
        awk '{ if (held) { if ($0 != "") print "Options:"; held = 0 } if ($0 == "Options:") held = 1; else print }' | cat -s
done
