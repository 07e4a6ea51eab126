"""Starts MiniStack, the LocalStack-compatible endpoint that needs no Docker.

This is the one place for what MiniStack does otherwise than AWS, as far as the
product meets it. Each deviation is put right here, with what AWS does, so that
neither the template nor the product has to know. The version is pinned in
requirements.txt: look through this list when that changes.
"""

import base64
import contextvars
import hmac
import json
import os
import urllib.parse

os.environ.setdefault("BIND_HOST", "127.0.0.1")
os.environ.setdefault("GATEWAY_PORT", "4566")
# Functions call back to the endpoint that runs them.
os.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:" + os.environ["GATEWAY_PORT"]
# Functions may do what their roles allow and nothing else.
os.environ.setdefault("AUTH", "true")
# What nobody asks for here would listen on ports of its own.
os.environ.setdefault("SFTP_ENABLED", "0")
os.environ.setdefault("IOT_MTLS_ENABLED", "0")

from ministack import app  # noqa: E402
from ministack.core import iam_actions, iam_evaluator, lambda_runtime  # noqa: E402
from ministack.services import apigateway_v1 as gateway  # noqa: E402
from ministack.services import kms  # noqa: E402
from ministack.services import lambda_svc  # noqa: E402
from ministack.services import ses_v2  # noqa: E402


def put_in_place_of(module, name):
    """Has a function, which gets the one it replaces first, stand in for it."""

    def replace(function):
        original = getattr(module, name)  # fails where there is nothing to replace

        def replacement(*args, **kwargs):
            return function(original, *args, **kwargs)

        setattr(module, name, replacement)
        return function

    return replace


# A REST API matches, and hands on, the path as the client has escaped it; here
# it arrives unescaped, and an id with a slash in it would be two segments.
@put_in_place_of(app, "_handle_execute_api_request")
async def keep_the_path_escaped(original, host, path, method, headers, body, query, raw_path=None, **more):
    return await original(host, raw_path or path, method, headers, body, query, raw_path=raw_path, **more)


# The description of a REST API has methods for all that are not named, the
# gateway's own responses, and binary types; here all are passed over.
gateway._OPENAPI_HTTP_METHODS.add("any")


@put_in_place_of(gateway, "_import_path_item")
def import_any_method(original, api_id, path, item, *more):
    item = dict(item)
    if operation := item.pop("x-amazon-apigateway-any-method", None):
        item["any"] = operation
    return original(api_id, path, item, *more)


@put_in_place_of(gateway, "_import_rest_api")
def import_extensions(original, spec, *more):
    api_id = original(spec, *more)
    gateway._rest_apis[api_id]["binaryMediaTypes"] = spec.get("x-amazon-apigateway-binary-media-types") or []
    for kind, response in (spec.get("x-amazon-apigateway-gateway-responses") or {}).items():
        response = dict(response)
        if "statusCode" in response:
            response["statusCode"] = str(response["statusCode"])
        status, _, body = gateway._put_gateway_response(api_id, kind, response)
        if status >= 400:
            raise ValueError(f"gateway response {kind}: {body!r}")
    return api_id


# With */* among the binary types, a body without a Content-Type is binary too,
# and so is the answer to a request without an Accept.
@put_in_place_of(gateway, "_media_type_matches")
def match_missing_types(original, media_type, binary_types):
    return "*/*" in (binary_types or []) or original(media_type, binary_types)


# Lambda takes 6 MB, the rest of the event included, and the gateway answers for
# it beyond; a function that fails is answered for by the gateway as well.
MAX_PAYLOAD = 6 * 1024 * 1024


@put_in_place_of(gateway, "_invoke_lambda_proxy_v1")
async def limit_payloads(original, *args, **kwargs):
    body = args[8]
    if body and len(base64.b64encode(body)) > MAX_PAYLOAD - 16 * 1024:
        return gateway._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
    response = await original(*args, **kwargs)
    if isinstance(response, tuple) and response[0] == 502:
        return gateway._gw_error("DEFAULT_5XX", "Internal server error")
    return response


# A function may stream its response: a head in JSON, eight NULs, the body. The
# gateway calls it by a URI of another ending then.
@put_in_place_of(gateway, "_extract_lambda_ref_from_integration_uri")
def know_streaming_uris(original, uri):
    return original(uri.replace("/response-streaming-invocations", "/invocations"))


STREAMED = "application/vnd.awslambda.http-integration-response"


@put_in_place_of(lambda_runtime.ProvidedWorker, "_build_handler_class")
def take_streamed_responses(original, worker, generation, pending):
    class Handler(original(worker, generation, pending)):
        def _read_body(self):
            body = super()._read_body()
            if self.headers.get("Content-Type") != STREAMED:
                return body
            head, _, body = body.partition(b"\0" * 8)
            response = json.loads(head)
            response["body"] = base64.b64encode(body).decode("ascii")
            response["isBase64Encoded"] = True
            return json.dumps(response).encode()

    return Handler


# Of a batch of a stream that a function reports failures of, what comes before
# the first of them is done; the rest is halved until it is one record, which is
# tried as often as the mapping says and then set aside. Here the report is
# passed over, and retries are not counted.
class PartialBatch(Exception):
    """A batch that was not processed as a whole."""


attempts = {}  # by mapping: the first sequence number of a batch, its size, how often it failed


@put_in_place_of(lambda_svc, "_execute_function")
def honour_partial_batches(original, function, event, *more, **kwargs):
    mapping = mapping_of(function, event)
    if mapping is None:
        return original(function, event, *more, **kwargs)
    uuid, esm = mapping
    records = event["Records"]
    first = records[0]["dynamodb"]["SequenceNumber"]
    known, size, failed = attempts.get(uuid, (first, len(records), 0))
    if known == first:
        records = records[:size]
    else:
        failed = 0
    result = original(function, {"Records": records}, *more, **kwargs)
    done = 0 if result.get("error") else len(records)
    body = result.get("body")
    if done and isinstance(body, dict) and body.get("batchItemFailures"):
        numbers = [r["dynamodb"]["SequenceNumber"] for r in records]
        done = min(numbers.index(f["itemIdentifier"]) for f in body["batchItemFailures"])
    if done == len(records) or done > 0:
        attempts.pop(uuid, None)
        if done < len(records):
            rest = records[done]["dynamodb"]["SequenceNumber"]
            attempts[uuid] = (rest, max(1, (len(records) - done) // 2), 0)
    elif len(records) > 1:
        attempts[uuid] = (first, max(1, len(records) // 2), 0)
    else:
        failed += 1
        attempts[uuid] = (first, 1, failed)
        if failed > int(esm.get("MaximumRetryAttempts", 3)):
            attempts.pop(uuid)
            lambda_svc._send_ddb_stream_failure_record(
                esm, function, records, esm["EventSourceArn"], result, "RetryAttemptsExhausted")
            done = 1
    if done == len(event["Records"]):
        return {**result, "error": None}
    advance(uuid, event["Records"], done)
    return {"error": True, "body": {"errorType": "PartialBatch", "errorMessage": "the rest comes again"}}


def mapping_of(function, event):
    """Returns the event source mapping that a batch of a table's stream is for."""
    if not isinstance(event, dict) or not event.get("Records"):
        return None
    arn = event["Records"][0].get("eventSourceARN", "")
    if ":dynamodb:" not in arn:
        return None
    for uuid, esm in lambda_svc._esms.items():
        if esm.get("EventSourceArn") == arn and esm["FunctionName"] == function["config"]["FunctionName"] and "ReportBatchItemFailures" in (esm.get("FunctionResponseTypes") or []):
            return uuid, esm
    return None


def advance(uuid, records, done):
    """Moves the mapping on past the records that are done."""
    from ministack.services import dynamodb

    if done == 0:
        return
    last = records[done - 1]["dynamodb"]["SequenceNumber"]
    table = records[0]["eventSourceARN"].split(":table/", 1)[1].split("/", 1)[0]
    with lambda_svc._dynamodb_stream_positions_lock:
        position = lambda_svc._dynamodb_stream_positions[uuid]
        for n, record in enumerate(dynamodb.stream_records_since(table, position, 10_000)):
            if record["dynamodb"]["SequenceNumber"] == last:
                lambda_svc._dynamodb_stream_positions[uuid] = position + n + 1
                return


# What a symmetric key has encrypted is decrypted by that key alone, and only as it
# was; here it is neither authenticated nor tied to its key.
MAC_KEY = os.urandom(32)


def mac(blob):
    return hmac.digest(MAC_KEY, blob, "sha256")


@put_in_place_of(kms, "_decrypt")
def decrypt_what_is_whole(original, data):
    blob = base64.b64decode(data.get("CiphertextBlob", ""))
    key = kms._resolve_key(data["KeyId"]) if data.get("KeyId") else None
    if key and "_symmetric_key" not in key:
        return original(data)
    blob, tag = blob[:-32], blob[-32:]
    if not hmac.compare_digest(mac(blob), tag):
        return kms.error_response_json("InvalidCiphertextException", "", 400)
    if key and blob[:36] != key["KeyId"].encode():
        return kms.error_response_json("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.", 400)
    return original({**data, "CiphertextBlob": base64.b64encode(blob).decode()})


def authenticated(original, data):
    status, headers, body = original(data)
    key = kms._resolve_key(data.get("KeyId", ""))
    if status == 200 and "_symmetric_key" in key:
        answer = json.loads(body)
        for name in answer.keys() & {"CiphertextBlob", "PrivateKeyCiphertextBlob"}:
            blob = base64.b64decode(answer[name])
            answer[name] = base64.b64encode(blob + mac(blob)).decode()
        body = json.dumps(answer).encode()
    return status, headers, body


for operation in ("_encrypt", "_generate_data_key", "_generate_data_key_without_plaintext",
                  "_generate_data_key_pair", "_generate_data_key_pair_without_plaintext"):
    put_in_place_of(kms, operation)(authenticated)


# Roles may name the encryption context of what is encrypted, and the tags of an
# identity; here neither is known when a role is asked.
@put_in_place_of(iam_actions, "request_tag_context")
def know_the_encryption_context(original, service, action, body, params):
    context = original(service, action, body, params)
    if service == "kms" and body:
        encryption = json.loads(body).get("EncryptionContext") or {}
        context |= {f"kms:encryptioncontext:{name}".lower(): value for name, value in encryption.items()}
        if encryption:
            context["kms:encryptioncontextkeys"] = list(encryption)
    return context


tags_of_request = contextvars.ContextVar("tags_of_request", default={})


@put_in_place_of(app, "_enforce_ses_v2")
def know_the_tags_of_identities(original, method, path, headers, body, query, request_id):
    context = iam_actions.request_tag_context("sesv2", "ses:CreateEmailIdentity", body, query) if method == "POST" else {}
    name = path.removeprefix("/v2/email/identities/").partition("/")[0]
    for tag in ses_v2._ses_tags.get(ses_v2._resource_arn("identity", urllib.parse.unquote(name)), []):
        context[f"aws:resourcetag/{tag['Key']}".lower()] = tag["Value"]
    token = tags_of_request.set(context)
    try:
        return original(method, path, headers, body, query, request_id)
    finally:
        tags_of_request.reset(token)


@put_in_place_of(app, "_enforce_data_plane")
def ask_roles_with_tags(original, service, *args, **kwargs):
    if service == "sesv2":
        kwargs["service_context"] = {**(kwargs.get("service_context") or {}), **tags_of_request.get()}
    return original(service, *args, **kwargs)


# Whoever speaks to AWS without TLS is refused by policies that ask for it; here
# nobody can speak with it.
@put_in_place_of(iam_evaluator, "_resolve_condition_key")
def take_connections_for_secure(original, key, ctx):
    return "true" if key.lower() == "aws:securetransport" else original(key, ctx)


# A domain whose DKIM key its owner brings is not verified until its records are
# found in DNS, which is nothing this endpoint looks at; an identity is made once;
# its key and its MAIL FROM domain can be changed; one that is not there cannot be
# deleted. Here a domain with a key of its own is taken for one without DKIM, an
# identity that is made again is another one, and the changes are not known.
@put_in_place_of(ses_v2, "handle_request")
async def keep_identities(original, method, path, headers, body, query):
    data = json.loads(body) if body else {}
    name, _, change = path.removeprefix("/v2/email/identities").strip("/").partition("/")
    name = urllib.parse.unquote(name or data.get("EmailIdentity", "")).lower()
    signing = data.get("SigningAttributes" if change else "DkimSigningAttributes") or {}
    if not path.startswith("/v2/email/identities") or not name or method == "GET":
        return await original(method, path, headers, body, query)
    identity = ses_v2._identities.get(name)
    if method == "POST" and not change and identity:
        return ses_v2._json_err("AlreadyExistsException", f"Email identity {name} already exist.")
    if method != "POST" and not identity:
        return ses_v2._json_err("NotFoundException", f"Email identity <{name}> does not exist.", 404)
    if method in ("POST", "PUT") and signing and not is_signing_key(signing):
        return ses_v2._json_err("BadRequestException", "DomainSigningPrivateKey is not a valid RSA private key of 1024 or 2048 bits.")
    if method == "PUT" and change == "mail-from":
        domain = data.get("MailFromDomain")
        if domain and not domain.lower().endswith("." + name):
            return ses_v2._json_err("BadRequestException", f"Provided MAIL-FROM domain <{domain}> is not subdomain of the domain of the identity <{name}>.")
        identity["MailFromAttributes"] = {"BehaviorOnMxFailure": data.get("BehaviorOnMxFailure", "USE_DEFAULT_VALUE")}
        if domain:
            identity["MailFromAttributes"] |= {"MailFromDomain": domain, "MailFromDomainStatus": "PENDING"}
        return ses_v2.json_response({})
    if method == "PUT" and change == "dkim/signing":
        identity["DkimAttributes"] = attributes = own_key(signing)
        return ses_v2.json_response({"DkimStatus": "PENDING", "DkimTokens": attributes["Tokens"]})
    response = await original(method, path, headers, body, query)
    if method == "POST" and not change and signing:
        ses_v2._identities[name] |= {
            "DkimAttributes": own_key(signing), "VerifiedForSendingStatus": False, "VerificationStatus": "PENDING"}
        return ses_v2.json_response({
            "IdentityType": "DOMAIN", "VerifiedForSendingStatus": False, "DkimAttributes": own_key(signing)})
    return response


def own_key(signing):
    return {"SigningEnabled": True, "SigningAttributesOrigin": "EXTERNAL", "Status": "PENDING",
            "Tokens": [signing["DomainSigningSelector"]]}


def is_signing_key(signing):
    """Tells what could be an RSA key of 1024 to 2048 bits, and its selector: one DER sequence of a fitting length."""
    try:
        key = base64.b64decode(signing["DomainSigningPrivateKey"], validate=True)
        whole = key[:2] == b"\x30\x82" and int.from_bytes(key[2:4], "big") == len(key) - 4
        return whole and 590 <= len(key) <= 1230 and bool(signing["DomainSigningSelector"])
    except (KeyError, TypeError, ValueError):
        return False


if __name__ == "__main__":
    app.main()
