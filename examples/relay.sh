#!/bin/sh
# The last 28 hours of an account's post, hour by hour, by X's own path through Countersign.
#
#   COUNTERSIGN_URL=http://127.0.0.1:8080 COUNTERSIGN_KEY=csk_... sh relay.sh ACCOUNT POST_ID
#
# Prints X's answer. If a call fails, it prints the error and ends with curl's exit code, 22.
set -eu

account=${1:?usage: relay.sh ACCOUNT POST_ID}
post=${2:?usage: relay.sh ACCOUNT POST_ID}

# curl reads the key from standard input, since everybody on a machine can see a program's arguments.
curl --silent --show-error --fail-with-body --compressed --max-time 35 --config - \
  --header "Countersign-Account: $account" \
  --header 'Content-Type: application/json' \
  --data "{\"tweet_ids\": [\"$post\"], \"engagement_types\": [\"impressions\", \"url_clicks\"],
    \"groupings\": {\"hours\": {\"group_by\": [\"engagement.day\", \"engagement.hour\", \"engagement.type\"]}}}" \
  "${COUNTERSIGN_URL:-http://127.0.0.1:8080}/insights/engagement/28hr" <<CONFIG
header = "Authorization: Bearer ${COUNTERSIGN_KEY:?is not set}"
CONFIG
