#!/usr/bin/env bash
# Deploys to AWS, with the AWS credentials of whoever runs it: what
# `make deploy STAGE=…` runs. The first time it asks for the region and the
# parameters, and keeps the answers in infra/samconfig.toml.
set -euo pipefail
cd "$(dirname "$0")/.."

stage=${1:?usage: infra/deploy.sh STAGE}
config=infra/samconfig.toml
build=.build/functions
export SAM_CLI_TELEMETRY=0 PATH=$PWD/.tools/sam/bin:$PATH

known() { [ -f "$config" ] && grep -q "^\[$stage\.deploy\.parameters\]" "$config"; }

architecture=${ARCHITECTURE:-arm64}
if known && grep -A 20 "^\[$stage\.deploy" "$config" | grep -q 'Architecture=\\"x86_64'; then
  architecture=x86_64
fi
make --no-print-directory operate functions ARCHITECTURE="$architecture" BUILD_DIR="$build"

[ -f "$config" ] || echo 'version = 0.1' >"$config"
options=(--template-file "$build/template.yaml" --config-file "$PWD/$config" --config-env "$stage" --tags "Product=tenure Stage=$stage")
if known; then
  sam deploy "${options[@]}" --no-fail-on-empty-changeset
else
  sam deploy "${options[@]}" --guided --stack-name "tenure-$stage" --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND \
    --parameter-overrides "Stage=$stage Architecture=$architecture"
fi
echo "Make an API key:  .build/operate -table $(sed -n "/^\[$stage\.deploy/,/^\[/s/^stack_name *= *\"\(.*\)\"/\1/p" "$config") key WORKSPACE"
