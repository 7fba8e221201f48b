//! Destinations.

use hookrail_domain::destination::{
    ClientAuth, Destination, DestinationAuth, DestinationSpec, ProxySpec, RetryPolicy, Signed, Signing,
    TlsSpec,
};
use hookrail_domain::ids::DestinationId;
use hookrail_domain::rate_limit::RateLimit;
use hookrail_proto::v1;

use super::CodecError;
use super::words::{from_secret, from_secrets, from_word, needed, parse, secret, word};

pub(super) fn to_message(destination: &Destination) -> v1::DestinationDefinition {
    let spec = &destination.spec;
    v1::DestinationDefinition {
        workspace: destination.workspace.to_string(),
        name: spec.name.clone(),
        notification_type: word(&spec.notification_type),
        url: spec.url.clone(),
        method: word(&spec.method),
        enabled: spec.enabled,
        labels: spec.labels.clone(),
        events: spec.events.clone(),
        format: word(&spec.format),
        headers: spec.headers.clone(),
        auth: Some(auth(&spec.auth)),
        api_key: spec.api_key.as_ref().map(secret),
        signing: Some(signing(&spec.signing)),
        tls: spec.tls.as_ref().map(tls),
        proxy: None,
        outbound_proxy: spec.proxy.as_ref().map(proxy),
        ordering: word(&spec.ordering),
        on_dead: word(&spec.on_dead),
        spread: spec.spread,
        timeout_ms: spec.timeout_ms,
        retry: Some(retry(&spec.retry)),
        rate_limit: spec.rate_limit.as_ref().map(rate_limit),
        max_in_flight: spec.max_in_flight,
        dead_retention_s: spec.dead_retention_s,
    }
}

pub(super) fn from_message(
    id: DestinationId,
    message: v1::DestinationDefinition,
) -> Result<Destination, CodecError> {
    let key = message.api_key;
    Ok(Destination {
        id,
        workspace: parse("destination.workspace", &message.workspace)?,
        spec: DestinationSpec {
            name: message.name,
            notification_type: from_word("destination.notification_type", &message.notification_type)?,
            url: message.url,
            method: from_word("destination.method", &message.method)?,
            enabled: message.enabled,
            labels: message.labels,
            events: message.events,
            format: from_word("destination.format", &message.format)?,
            headers: message.headers,
            auth: from_auth(message.auth)?,
            api_key: key
                .map(|key| from_secret("destination.api_key", Some(key)))
                .transpose()?,
            signing: from_signing(message.signing)?,
            tls: message.tls.map(from_tls).transpose()?,
            proxy: from_proxy(message.outbound_proxy, message.proxy)?,
            ordering: from_word("destination.ordering", &message.ordering)?,
            on_dead: from_word("destination.on_dead", &message.on_dead)?,
            spread: message.spread,
            timeout_ms: message.timeout_ms,
            retry: from_retry(message.retry)?,
            rate_limit: message.rate_limit.map(from_rate_limit),
            max_in_flight: message.max_in_flight,
            dead_retention_s: message.dead_retention_s,
        },
    })
}

pub(super) fn auth(auth: &DestinationAuth) -> v1::DestinationAuth {
    use v1::destination_auth::Auth;
    let auth = match auth {
        DestinationAuth::None => Auth::None(v1::None {}),
        DestinationAuth::Header { name, value } => Auth::Header(v1::HeaderAuth {
            name: name.clone(),
            value: Some(secret(value)),
        }),
        DestinationAuth::Basic { username, password } => Auth::Basic(v1::BasicAuth {
            username: username.clone(),
            password: Some(secret(password)),
        }),
        DestinationAuth::Bearer { token } => Auth::Bearer(v1::BearerAuth {
            token: Some(secret(token)),
        }),
        DestinationAuth::Oauth2ClientCredentials {
            token_url,
            client_id,
            client_secret,
            scopes,
            audience,
            client_auth,
        } => Auth::Oauth2ClientCredentials(v1::OAuth2ClientCredentials {
            token_url: token_url.clone(),
            client_id: client_id.clone(),
            client_secret: Some(secret(client_secret)),
            scope: (!scopes.is_empty()).then(|| scopes.join(" ")),
            audience: audience.clone(),
            client_auth: Some(word(client_auth)),
        }),
    };
    v1::DestinationAuth { auth: Some(auth) }
}

pub(super) fn from_auth(auth: Option<v1::DestinationAuth>) -> Result<DestinationAuth, CodecError> {
    use v1::destination_auth::Auth;
    const FIELD: &str = "destination.auth";
    Ok(match needed(FIELD, auth.and_then(|auth| auth.auth))? {
        Auth::None(_) => DestinationAuth::None,
        Auth::Header(header) => DestinationAuth::Header {
            name: header.name,
            value: from_secret(FIELD, header.value)?,
        },
        Auth::Basic(basic) => DestinationAuth::Basic {
            username: basic.username,
            password: from_secret(FIELD, basic.password)?,
        },
        Auth::Bearer(bearer) => DestinationAuth::Bearer {
            token: from_secret(FIELD, bearer.token)?,
        },
        Auth::Oauth2ClientCredentials(oauth) => DestinationAuth::Oauth2ClientCredentials {
            token_url: oauth.token_url,
            client_id: oauth.client_id,
            client_secret: from_secret(FIELD, oauth.client_secret)?,
            scopes: words(oauth.scope.as_deref()),
            audience: oauth.audience,
            client_auth: match oauth.client_auth {
                None => ClientAuth::default(),
                Some(place) => from_word(FIELD, &place)?,
            },
        },
    })
}

fn signing(signing: &Signing) -> v1::Signing {
    use v1::signing::Signing as Wire;
    let signing = match signing {
        Signing::None => Wire::None(v1::None {}),
        Signing::StandardWebhooks {
            algorithm, secrets, ..
        } => Wire::StandardWebhooks(v1::StandardWebhooks {
            algorithm: word(algorithm),
            secrets: secrets.iter().map(secret).collect(),
        }),
        Signing::Hmac {
            header,
            algorithm,
            encoding,
            prefix,
            signed,
            timestamp_header,
            multiple,
            secrets,
        } => Wire::Hmac(v1::HmacSigning {
            header: header.clone(),
            algorithm: word(algorithm),
            encoding: word(encoding),
            secrets: secrets.iter().map(secret).collect(),
            prefix: prefix.clone(),
            signed: Some(word(signed)),
            timestamp_header: timestamp_header.clone(),
            multiple: *multiple,
        }),
    };
    v1::Signing {
        signing: Some(signing),
    }
}

fn from_signing(signing: Option<v1::Signing>) -> Result<Signing, CodecError> {
    use v1::signing::Signing as Wire;
    const FIELD: &str = "destination.signing";
    Ok(
        match needed(FIELD, signing.and_then(|signing| signing.signing))? {
            Wire::None(_) => Signing::None,
            Wire::StandardWebhooks(standard) => Signing::StandardWebhooks {
                algorithm: from_word(FIELD, &standard.algorithm)?,
                secrets: from_secrets(FIELD, standard.secrets)?,
                // For people who read the definition: nothing is signed with them.
                public_keys: Vec::new(),
            },
            Wire::Hmac(hmac) => Signing::Hmac {
                header: hmac.header,
                algorithm: from_word(FIELD, &hmac.algorithm)?,
                encoding: from_word(FIELD, &hmac.encoding)?,
                prefix: hmac.prefix,
                signed: match hmac.signed {
                    None => Signed::default(),
                    Some(signed) => from_word(FIELD, &signed)?,
                },
                timestamp_header: hmac.timestamp_header,
                multiple: hmac.multiple,
                secrets: from_secrets(FIELD, hmac.secrets)?,
            },
        },
    )
}

fn tls(tls: &TlsSpec) -> v1::Tls {
    v1::Tls {
        ca: tls.ca.clone(),
        certificate: tls.client_certificate.clone(),
        key: tls.client_key.as_ref().map(secret),
        server_name: tls.server_name.clone(),
    }
}

fn from_tls(tls: v1::Tls) -> Result<TlsSpec, CodecError> {
    let key = tls.key;
    Ok(TlsSpec {
        ca: tls.ca,
        client_certificate: tls.certificate,
        client_key: key
            .map(|key| from_secret("destination.tls.key", Some(key)))
            .transpose()?,
        server_name: tls.server_name,
    })
}

fn proxy(proxy: &ProxySpec) -> v1::Proxy {
    v1::Proxy {
        url: proxy.url.clone(),
        username: proxy.username.clone(),
        password: proxy.password.as_ref().map(secret),
    }
}

fn from_proxy(proxy: Option<v1::Proxy>, before: Option<String>) -> Result<Option<ProxySpec>, CodecError> {
    let bare = |url| v1::Proxy {
        url,
        ..v1::Proxy::default()
    };
    let Some(proxy) = proxy.or_else(|| before.map(bare)) else {
        return Ok(None);
    };
    let password = proxy.password;
    Ok(Some(ProxySpec {
        url: proxy.url,
        username: proxy.username,
        password: password
            .map(|password| from_secret("destination.proxy.password", Some(password)))
            .transpose()?,
    }))
}

fn words(text: Option<&str>) -> Vec<String> {
    let words = text
        .unwrap_or_default()
        .split(' ')
        .filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

pub(super) fn retry(retry: &RetryPolicy) -> v1::RetryPolicy {
    v1::RetryPolicy {
        initial_ms: retry.initial_ms,
        multiplier: retry.multiplier,
        max_ms: retry.max_ms,
        jitter: retry.jitter,
        give_up_after_ms: retry.give_up_after_ms,
        max_attempts: retry.max_attempts,
        permanent_statuses: retry.permanent_statuses.iter().map(|s| u32::from(*s)).collect(),
    }
}

pub(super) fn from_retry(retry: Option<v1::RetryPolicy>) -> Result<RetryPolicy, CodecError> {
    let retry = needed("destination.retry", retry)?;
    let statuses: Result<Vec<u16>, _> = retry.permanent_statuses.into_iter().map(u16::try_from).collect();
    Ok(RetryPolicy {
        initial_ms: retry.initial_ms,
        multiplier: retry.multiplier,
        max_ms: retry.max_ms,
        jitter: retry.jitter,
        give_up_after_ms: retry.give_up_after_ms,
        max_attempts: retry.max_attempts,
        permanent_statuses: statuses
            .map_err(|error| CodecError::new("destination.retry.permanent_statuses", error))?,
    })
}

pub(super) fn rate_limit(limit: &RateLimit) -> v1::RateLimit {
    v1::RateLimit {
        per_second: limit.per_second,
        burst: limit.burst,
    }
}

pub(super) fn from_rate_limit(limit: v1::RateLimit) -> RateLimit {
    RateLimit {
        per_second: limit.per_second,
        burst: limit.burst,
    }
}
