#!/usr/bin/env bash
# The whole journey with nothing but curl: sign up, make a project, run a VM, watch it, stop it, read the bill.
#
#   make run                          in one terminal
#   bash examples/quickstart.sh       in another
#
# ZENTRY_URL names another server (the default is http://127.0.0.1:8000). KEEP=1 leaves the VM and its project in
# place. python3 is used to read JSON, and for nothing else.
set -euo pipefail

ZENTRY_URL=${ZENTRY_URL:-http://127.0.0.1:8000}
TOKEN=

say() { printf '\n== %s\n' "$*"; }
show() { printf '   %-16s %s\n' "$1" "$2"; }
fail() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

# read_json PATH reads an answer from standard input and prints one value of it: read_json items.0.amount
read_json() {
    python3 -c '
import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1].split("."):
    value = value[int(key)] if isinstance(value, list) else value[key]
print("-" if value is None else value)
' "$1"
}

# call METHOD PATH [BODY [HEADER]] sends a request, prints the body of the answer, and ends the script on an error.
# The token goes through a file descriptor, so that it does not show in the list of processes.
call() {
    local method=$1 path=$2 body=${3:-} header=${4:-} answer status
    answer=$(
        curl --silent --show-error --max-time 60 --write-out '\n%{http_code}' \
            --config <(if [ -n "$TOKEN" ]; then printf 'header = "Authorization: Bearer %s"\n' "$TOKEN"; fi) \
            ${header:+--header "$header"} ${body:+--header "Content-Type: application/json" --data "$body"} \
            --request "$method" "$ZENTRY_URL$path"
    ) || fail "$method $path: no answer from $ZENTRY_URL. Is the server running? Start it with: make run"
    status=${answer##*$'\n'}
    body=${answer%$'\n'*}
    case $status in
        2??) printf '%s' "$body" ;;
        *) fail "$method $path answered $status: $(printf '%s' "$body" | read_json detail 2>/dev/null || printf '%s' "$body")" ;;
    esac
}

command -v curl >/dev/null || fail "curl is needed"
command -v python3 >/dev/null || fail "python3 is needed"

say "1. Sign up"
# An e-mail names one account, so every run makes up a new one. The answer holds the token for all that follows.
email="ada.$(date +%s).$$@example.com"
account=$(call POST /auth/signup "{\"email\": \"$email\", \"name\": \"Ada Lovelace\", \"password\": \"correct horse battery\"}")
TOKEN=$(printf '%s' "$account" | read_json access_token)
show account "$email"
show credits "$(printf '%s' "$account" | read_json user.credits)"

say "2. Look at the prices"
prices=$(call GET /vms/pricing/info)
show "small, an hour" "$(printf '%s' "$prices" | read_json pricing.small) credits"
show "each new VM" "$(printf '%s' "$prices" | read_json billing_details.create_fee) credits"

say "3. Make a project"
project=$(call POST /projects '{"name": "quickstart"}')
project_id=$(printf '%s' "$project" | read_json id)
show project "$project_id"

say "4. Create a VM"
# `Prefer: wait=20` lets the call answer when the VM runs, or after 20 seconds with the state that it has then.
vm=$(call POST /vms "{\"name\": \"web-1\", \"instance_type\": \"small\", \"image\": \"debian-12\", \"project_id\": \"$project_id\"}" \
    "Prefer: wait=20")
vm_id=$(printf '%s' "$vm" | read_json id)
status=$(printf '%s' "$vm" | read_json status)
for _ in $(seq 60); do # A slower engine than the simulator may need longer: ask until it runs.
    [ "$status" = creating ] || break
    sleep 1
    vm=$(call GET "/vms/$vm_id")
    status=$(printf '%s' "$vm" | read_json status)
done
[ "$status" = running ] || fail "the VM is $status instead of running"
show vm "$vm_id"
show status "$status"
show address "$(printf '%s' "$vm" | read_json ip_address)"

say "5. Let it run for a moment, and look at its metrics"
sleep 3
metrics=$(call GET "/monitoring/vms/$vm_id/metrics")
show cpu "$(printf '%s' "$metrics" | read_json cpu_usage) %"
show memory "$(printf '%s' "$metrics" | read_json memory_usage) %"
show "network in" "$(printf '%s' "$metrics" | read_json network_in) bytes per second"

say "6. Stop it"
# Billing ends when the stop is accepted, not when the guest has shut down.
stopped=$(call POST "/vms/$vm_id/stop" '' "Prefer: wait=20")
[ "$(printf '%s' "$stopped" | read_json success)" = True ] || fail "the stop failed: $stopped"
show message "$(printf '%s' "$stopped" | read_json message)"

say "7. Read the bill"
# Charges are negative and additions positive; together they are the balance.
call GET /billing/history | python3 -c '
import json, sys
for line in json.load(sys.stdin)["items"]:
    print("   {amount:>+14.6f}  {description}".format(**line))
'
credits=$(call GET /billing/credits)
show balance "$(printf '%s' "$credits" | read_json current_credits) credits"
show held "$(printf '%s' "$credits" | read_json held_credits) credits"
show spent "$(printf '%s' "$credits" | read_json total_spent) credits"

if [ -n "${KEEP:-}" ]; then
    say "Done. The VM is kept; start it again with POST /vms/$vm_id/start"
    exit 0
fi

say "8. Clean up"
# Deleting a project terminates its VMs. They and their bill stay readable.
show message "$(call DELETE "/projects/$project_id" | read_json message)"

say "Done"
