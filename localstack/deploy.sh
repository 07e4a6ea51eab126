#!/usr/bin/env bash
# Deploys template.yaml to the LocalStack-compatible endpoint on :4566, and
# starts MiniStack there if nothing answers: what `make deploy-local` runs.
# It prints the lines EVENTS_URL=… and API_URL=… and returns; localstack/stop.sh ends what it started.
set -euo pipefail
cd "$(dirname "$0")/.."

port=${GATEWAY_PORT:-4566}
endpoint=http://127.0.0.1:$port
stack=${STACK:-tenure-local}
build=.build/deploy
state=.build/endpoint-$port
mkdir -p "$state/tmp"

export AWS_ENDPOINT_URL=$endpoint AWS_DEFAULT_REGION=us-east-1 AWS_REGION=us-east-1
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test-not-secret AWS_EC2_METADATA_DISABLED=true
export SAM_CLI_TELEMETRY=0 PATH=$PWD/.tools/sam/bin:$PATH
export no_proxy=127.0.0.1
unset AWS_PROFILE AWS_SESSION_TOKEN

python=$PWD/.tools/sam/bin/python
answers() {
  "$python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' "$endpoint/_localstack/health" 2>/dev/null
}

if answers; then
  echo "Endpoint    $endpoint, which was there already"
elif [ "$(uname -s)" != Linux ]; then
  echo "MiniStack runs functions as processes, and they are programs for Linux: bring it up with Docker, see localstack/compose.yaml" >&2
  exit 1
else
  GATEWAY_PORT=$port TMPDIR=$PWD/$state/tmp nohup .tools/ministack/bin/python localstack/ministack/serve.py >"$state/log" 2>&1 </dev/null &
  echo $! >"$state/pid"
  for _ in $(seq 100); do
    answers && break
    kill -0 "$(cat "$state/pid")" 2>/dev/null || { echo "MiniStack ended at once:"; tail -n 20 "$state/log"; exit 1; } >&2
    sleep 0.2
  done
  answers || { echo "MiniStack does not answer; see $state/log" >&2; exit 1; }
  echo "Endpoint    $endpoint, MiniStack, started here; its log is $state/log"
fi

case $(uname -m) in
  aarch64 | arm64) architecture=arm64 ;;
  *) architecture=x86_64 ;;
esac

make --no-print-directory operate functions ARCHITECTURE=$architecture BUILD_DIR=$build >"$state/build.log" 2>&1 || { cat "$state/build.log" >&2; exit 1; }
sam deploy --template-file "$build/template.yaml" --stack-name "$stack" --resolve-s3 --no-progressbar \
  --no-confirm-changeset --no-fail-on-empty-changeset --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND \
  --tags "Product=tenure Stage=local" \
  --parameter-overrides Stage=local Architecture=$architecture >"$state/deploy.log" 2>&1 || { cat "$state/deploy.log" >&2; exit 1; }

if [ -z "${WORKSPACES:-}" ]; then
  # Nothing is kept longer than the endpoint, so a key need not be either.
  [ -s "$state/demo.key" ] || (umask 077 && "$python" -c 'import secrets; print(secrets.token_hex())' >"$state/demo.key")
  WORKSPACES=demo:$(cat "$state/demo.key")
  echo "API key     $(cat "$state/demo.key")"
fi
WORKSPACES=$WORKSPACES .build/operate -table "$stack" workspaces

read -r api events < <(sam list stack-outputs --stack-name "$stack" --output json | "$python" -c '
import json, sys
outputs = {o["OutputKey"]: o["OutputValue"] for o in json.load(sys.stdin)}
print(outputs["ApiId"], outputs["EventsApiId"])')
console=$endpoint/restapis/$api/local/_user_request_/admin/
echo "Console     $console"
.build/operate -table "$stack" -url "$console" admin "${WORKSPACES%%:*}"
echo "EVENTS_URL=$endpoint/restapis/$events/local/_user_request_/v1"
echo "API_URL=$endpoint/restapis/$api/local/_user_request_/api/v2"
