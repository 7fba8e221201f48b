"""Prints webhooks as senders sign them, as JSON lines, for the tests of this folder.

Where a sender publishes a library, it signs. Else the sender's documented recipe is written out here,
with Python's own HMAC and the cryptography package, and nothing of what is tested.

A line: scheme, by, secret, method, url, headers, body (hex), now_ms, and what one changed byte of must
be noticed: covers "body", "url", or texts within the body in covers_texts; headers always.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
import urllib.parse

import stripe
from Adyen.util import generate_notification_sig, generate_payload_sig
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from slack_sdk.signature import SignatureVerifier
from standardwebhooks.webhooks import Webhook
from twilio.request_validator import RequestValidator

NOW = int(time.time())
NOW_MS = NOW * 1000 + 123
ISO = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW))
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
HEX_KEY = hashlib.sha256(b"a key").hexdigest().upper()
URL = "https://hooks.example.com/default/orders"
BODY = '{"id":"evt_1","big":820982911946154508,"f":1.10,"u":"hé☃","esc":"<\\/a>"}'.encode()


def emit(scheme, by, secret, headers, body=BODY, covers=("body",), method="POST", url=URL, **more):
    line = {
        "scheme": scheme,
        "by": by,
        "secret": secret,
        "method": method,
        "url": url,
        "headers": headers,
        "body": bytes(body).hex(),
        "now_ms": NOW * 1000,
        "covers": list(covers),
    }
    print(json.dumps({**line, **more}))


def mac(secret, *parts, hash=hashlib.sha256):
    key = secret if isinstance(secret, bytes) else secret.encode()
    message = b"".join(part if isinstance(part, bytes) else str(part).encode() for part in parts)
    return hmac.new(key, message, hash)


def b64(raw):
    return base64.b64encode(raw).decode()


def standard_webhooks():
    secret = "whsec_" + b64(b"twenty-four bytes of key")
    signature = Webhook(secret).sign("msg_1", _datetime(), BODY.decode())
    for prefix in ("webhook", "svix"):
        headers = {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": str(NOW), f"{prefix}-signature": signature}
        emit("standard_webhooks", "standardwebhooks", secret, headers)
    key = ed25519.Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    signed = b64(key.sign(b"msg_1.%d." % NOW + BODY))
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW), "webhook-signature": f"v1a,{signed}"}
    emit("standard_webhooks", "cryptography, ed25519", "whpk_" + b64(raw), headers)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW), "webhook-signature": signature}
    emit("gitlab", "standardwebhooks", secret, headers)


def _datetime():
    import datetime

    return datetime.datetime.fromtimestamp(NOW, tz=datetime.timezone.utc)


def libraries():
    signed = stripe.WebhookSignature._compute_signature(f"{NOW}.{BODY.decode()}", "whsec_test")
    emit("stripe", "stripe", "whsec_test", {"Stripe-Signature": f"t={NOW},v1={signed}"})
    signed = SignatureVerifier(SECRET).generate_signature(timestamp=str(NOW), body=BODY)
    emit("slack", "slack_sdk", SECRET, {"X-Slack-Request-Timestamp": str(NOW), "X-Slack-Signature": signed})
    twilio()
    adyen()


def twilio():
    validator = RequestValidator("12345")
    params = {"To": "+18005551212", "Empty": "", "Digits": "1234", "CallSid": "CA12 ä&=%"}
    form = urllib.parse.urlencode(params).encode()
    form_headers = {"Content-Type": "application/x-www-form-urlencoded"}
    json_url = URL + "?bodySHA256=" + hashlib.sha256(BODY).hexdigest()
    for algorithm, name in ((None, "SHA-1"), ("HMAC_SHA256", "SHA-256")):
        extra = {"X-Twilio-Webhooks-Signature-Settings": f"key=k1,algorithm={algorithm}"} if algorithm else {}
        for url, body, params_signed, headers in (
            (URL + "?foo=1&bar=2", form, params, form_headers),
            (json_url, BODY, {}, {"Content-Type": "application/json"}),
            (URL + "?foo=1", b"", {}, {}),
        ):
            with_port = url.replace("example.com", "example.com:443")
            for signed_url in (url, with_port):
                signed = validator.compute_signature(signed_url, params_signed, algorithm)
                headers = {**headers, "X-Twilio-Signature": signed}
                covers = ("body", "url") if body else ("url",)
                emit("twilio", f"twilio, {name}", "12345", headers, body, covers, url=url, uncovered_headers=extra)


def adyen():
    def item(reference, value):
        content = {
            "additionalData": {},
            "amount": {"currency": "EUR", "value": value},
            "eventCode": "AUTHORISATION",
            "merchantAccountCode": "TestMerchant",
            "merchantReference": f"ref-{reference}",
            "originalReference": "",
            "pspReference": reference,
            "success": "true",
        }
        content["additionalData"]["hmacSignature"] = generate_notification_sig(content, HEX_KEY).decode()
        return {"NotificationRequestItem": content}

    for items in ([item("7914073381342284", 1130)], [item("79140", 1), item("79141", 900719925474099312)]):
        body = json.dumps({"live": "false", "notificationItems": items}).encode()
        texts = [f'"{i["NotificationRequestItem"][name]}"' for i in items for name in ("pspReference", "merchantReference")]
        texts += [i["NotificationRequestItem"]["additionalData"]["hmacSignature"] for i in items]
        emit("adyen", "Adyen", HEX_KEY, {"Content-Type": "application/json"}, body, (), covers_texts=texts)
    signed = generate_payload_sig(BODY, HEX_KEY).decode()
    emit("adyen", "Adyen, of the payload", HEX_KEY, {"HmacSignature": signed})


def body_hmacs():
    for scheme, header, prefix, hash in (
        ("github", "X-Hub-Signature-256", "sha256=", hashlib.sha256),
        ("bitbucket", "X-Hub-Signature", "sha256=", hashlib.sha256),
        ("jira", "X-Hub-Signature", "sha256=", hashlib.sha256),
        ("meta", "X-Hub-Signature-256", "sha256=", hashlib.sha256),
        ("intercom", "X-Hub-Signature", "sha1=", hashlib.sha1),
        ("dropbox", "X-Dropbox-Signature", "", hashlib.sha256),
        ("pagerduty", "X-PagerDuty-Signature", "v1=", hashlib.sha256),
    ):
        emit(scheme, "recipe", SECRET, {header: prefix + mac(SECRET, BODY, hash=hash).hexdigest()})
    for scheme, header in (
        ("shopify", "X-Shopify-Hmac-Sha256"),
        ("woocommerce", "X-WC-Webhook-Signature"),
        ("xero", "x-xero-signature"),
    ):
        emit(scheme, "recipe", SECRET, {header: b64(mac(SECRET, BODY).digest())})


def timed_hmacs():
    signed = mac(SECRET, f"{NOW}:", BODY).hexdigest()
    emit("paddle", "recipe", SECRET, {"Paddle-Signature": f"ts={NOW};h1={signed}"})
    signed = mac(SECRET, f"v0:{NOW}:", BODY).hexdigest()
    emit("zoom", "recipe", SECRET, {"x-zm-request-timestamp": str(NOW), "x-zm-signature": f"v0={signed}"})
    stamp = f"{ISO}.634234626Z"
    headers = {"Twitch-Eventsub-Message-Id": "e76c6bd4", "Twitch-Eventsub-Message-Timestamp": stamp}
    signed = mac(SECRET, "e76c6bd4", stamp, BODY).hexdigest()
    emit("twitch", "recipe", SECRET, {**headers, "Twitch-Eventsub-Message-Signature": f"sha256={signed}"})
    stamp = f"{ISO}Z"
    headers = {"X-Zendesk-Webhook-Signature-Timestamp": stamp}
    headers["X-Zendesk-Webhook-Signature"] = b64(mac(SECRET, stamp, BODY).digest())
    emit("zendesk", "recipe", SECRET, headers)
    body = json.dumps({"action": "create", "webhookTimestamp": NOW_MS}).encode()
    headers = {"Content-Type": "application/json", "Linear-Signature": mac(SECRET, body).hexdigest()}
    emit("linear", "recipe", SECRET, headers, body, uncovered=["Content-Type"])
    contentful()


def contentful():
    names = ["content-type", "x-contentful-signed-headers", "x-contentful-timestamp", "x-contentful-topic"]
    headers = {
        "Content-Type": "application/vnd.contentful.management.v1+json",
        "X-Contentful-Topic": "ContentManagement.Entry.publish",
        "X-Contentful-Timestamp": str(NOW_MS),
        "X-Contentful-Signed-Headers": ",".join(names),
    }
    lower = {name.lower(): value for name, value in headers.items()}
    canonical = "\n".join(["POST", "/default/orders?a=b%20c", ";".join(f"{n}:{lower[n]}" for n in names), BODY.decode()])
    headers["X-Contentful-Signature"] = mac(SECRET, canonical).hexdigest()
    emit("contentful", "recipe", SECRET, headers, covers=("body", "target"), url=URL + "?a=b%20c")


def url_hmacs():
    emit("square", "recipe", SECRET, {"x-square-hmacsha256-signature": b64(mac(SECRET, URL, BODY).digest())}, covers=("body", "url"))
    params = {"mandrill_events": '[{"event":"send","msg":{"subject":"ä + &"}}]'}
    text = URL + "".join(name + params[name] for name in sorted(params))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    headers["X-Mandrill-Signature"] = b64(mac(SECRET, text, hash=hashlib.sha1).digest())
    emit("mandrill", "recipe", SECRET, headers, urllib.parse.urlencode(params).encode(), ("body", "url"))
    hubspot()


def hubspot():
    url = URL + "?path=%2Fa%3Ab&x=%20y"
    decoded = URL + "?path=/a:b&x=%20y"
    headers = {"X-HubSpot-Request-Timestamp": str(NOW_MS)}
    headers["X-HubSpot-Signature-v3"] = b64(mac(SECRET, "POST", decoded, BODY, NOW_MS).digest())
    emit("hubspot", "recipe, v3", SECRET, headers, covers=("body", "url"), url=url)
    for version, parts, covers in (("v1", [], ("body",)), ("v2", ["POST", url], ("body", "url"))):
        text = b"".join([SECRET.encode(), *[part.encode() for part in parts], BODY])
        headers = {"X-HubSpot-Signature-Version": version, "X-HubSpot-Signature": hashlib.sha256(text).hexdigest()}
        emit("hubspot", f"recipe, {version}", SECRET, headers, covers=covers, url=url)
    # As printed in the sender's documentation.
    secret = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
    printed = "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e"
    headers = {"X-HubSpot-Signature-Version": "v2", "X-HubSpot-Signature": printed}
    url = "https://www.example.com/webhook_uri"
    emit("hubspot", "documentation, v2", secret, headers, b"", ("url",), method="GET", url=url)
    body = (
        b'[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
        b'"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM",'
        b'"changeFlag":"NEW","appId":54321}]'
    )
    printed = "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"
    headers = {"X-HubSpot-Signature-Version": "v1", "X-HubSpot-Signature": printed}
    emit("hubspot", "documentation, v1", secret, headers, body)


def in_bodies():
    token = "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"
    signature = mac(SECRET, NOW, token).hexdigest()
    signed = {"timestamp": str(NOW), "token": token, "signature": signature}
    body = json.dumps({"signature": signed, "event-data": {"event": "opened"}}).encode()
    texts = [token, signature, str(NOW)]
    emit("mailgun", "recipe", SECRET, {"Content-Type": "application/json"}, body, (), covers_texts=texts)
    form = urllib.parse.urlencode({**signed, "event": "opened"}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    emit("mailgun", "recipe, form", SECRET, headers, form, (), covers_texts=texts)
    sns()


def public_keys():
    key = ed25519.Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    headers = {"X-Signature-Timestamp": str(NOW), "X-Signature-Ed25519": key.sign(b"%d" % NOW + BODY).hex()}
    emit("discord", "cryptography", raw.hex(), headers)
    key = ec.generate_private_key(ec.SECP256R1())
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    body = BODY + b"\r\n"
    headers = {"X-Twilio-Email-Event-Webhook-Timestamp": str(NOW)}
    headers["X-Twilio-Email-Event-Webhook-Signature"] = b64(key.sign(b"%d" % NOW + body, ec.ECDSA(hashes.SHA256())))
    emit("sendgrid", "cryptography", b64(spki), headers, body)


def sns():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(_datetime()).not_valid_after(_datetime().replace(year=2099))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    topic = "arn:aws:sns:eu-west-1:123456789012:orders"
    host = "https://sns.eu-west-1.amazonaws.com/"
    notification = {"Type": "Notification", "Message": "two\nlines: ä", "Subject": "s"}
    confirmation = {"Type": "SubscriptionConfirmation", "Message": "You", "Token": "2336", "SubscribeURL": host + "?Action=ConfirmSubscription"}
    lists = {
        "Notification": ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        "SubscriptionConfirmation": ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    }
    for version, hash in (("1", hashes.SHA1()), ("2", hashes.SHA256())):
        for fields in (notification, confirmation, {k: v for k, v in notification.items() if k != "Subject"}):
            message = {**fields, "MessageId": "22b80b92", "TopicArn": topic, "Timestamp": f"{ISO}.123Z", "SignatureVersion": version}
            names = [name for name in lists[fields["Type"]] if name in message]
            text = "".join(f"{name}\n{message[name]}\n" for name in names).encode()
            message["Signature"] = b64(key.sign(text, padding.PKCS1v15(), hash))
            message["SigningCertURL"] = host + "SimpleNotificationService-0123.pem"
            body = json.dumps(message, indent=2).encode()
            texts = [json.dumps(message[name]) for name in [*names, "Signature"]]
            emit("aws_sns", "cryptography", topic, {"Content-Type": "text/plain; charset=UTF-8"}, body, (),
                 covers_texts=texts, certificate=certificate.decode(), uncovered=["Content-Type"])


def tokens():
    emit("gitlab", "recipe, token", SECRET, {"X-Gitlab-Token": SECRET}, covers=())
    for url in (URL + "?code=" + SECRET,):
        emit("azure_event_grid", "recipe", SECRET, {}, covers=("query",), url=url)
    emit("mailchimp", "recipe", SECRET, {}, b"type=subscribe", covers=("query",), url=URL + "?secret=" + SECRET)
    emit("cloudevents", "recipe", SECRET, {"Authorization": f"Bearer {SECRET}"}, covers=())
    emit("cloudevents", "recipe, query", SECRET, {}, covers=("query",), url=URL + "?access_token=" + SECRET)
    for items in (1, 3):
        body = json.dumps({"value": [{"subscriptionId": str(i), "clientState": SECRET} for i in range(items)]}).encode()
        emit("microsoft_graph", "recipe", SECRET, {"Content-Type": "application/json"}, body, (), covers_texts=[SECRET])
    form = urllib.parse.urlencode({"token": SECRET, "text": "hello"}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    emit("mattermost", "recipe", SECRET, headers, form, (), covers_texts=[SECRET])
    emit("mattermost", "recipe, header", SECRET, {"Authorization": f"Token {SECRET}"}, b"text=hello", covers=())
    organization = "00D000000000000EAA"
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
        '<soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
        f"<OrganizationId>{organization}</OrganizationId><ActionId>04k</ActionId></notifications></soapenv:Body></soapenv:Envelope>"
    ).encode()
    emit("salesforce", "recipe", organization, {"Content-Type": "text/xml; charset=utf-8"}, body, (), covers_texts=[organization])


for part in (standard_webhooks, libraries, body_hmacs, timed_hmacs, url_hmacs, in_bodies, public_keys, tokens):
    part()
sys.stdout.flush()
