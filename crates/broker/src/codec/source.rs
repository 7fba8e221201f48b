//! Sources.

use hookrail_domain::api_key::ApiKey;
use hookrail_domain::entity::{EntityRules, UniqueId};
use hookrail_domain::ids::SourceId;
use hookrail_domain::source::{
    Acknowledgement, Dedupe, KeyPlace, OldName, QueryParam, RequestResponse, Retention, Source, SourceAuth,
    SourceOrdering, SourceSpec,
};
use hookrail_proto::v1;

use super::CodecError;
use super::destination::{from_rate_limit, rate_limit};
use super::words::{
    from_json_text, from_secret, from_secrets, from_word, json_text, needed, parse, parse_option, secret,
    text_option, word,
};

pub(super) fn to_message(source: &Source) -> v1::SourceDefinition {
    let spec = &source.spec;
    v1::SourceDefinition {
        workspace: source.workspace.to_string(),
        workspace_code: source.workspace_code.clone(),
        token: source.token.clone(),
        old_names: source.old_names.iter().map(old_name).collect(),
        api_keys: source.api_keys.iter().map(api_key).collect(),
        name: spec.name.clone(),
        description: spec.description.clone(),
        enabled: spec.enabled,
        paused: spec.paused,
        labels: spec.labels.clone(),
        methods: spec.methods.iter().map(word).collect(),
        public_name: spec.public_name,
        allow_ips: spec.allow_ips.iter().map(ToString::to_string).collect(),
        auth: Some(auth(&spec.auth)),
        query_params: spec.query_params.iter().map(query_param).collect(),
        max_body_bytes: spec.max_body_bytes,
        body_format: word(&spec.body_format),
        force_list: spec.force_list.clone(),
        ordering: spec.ordering.as_ref().map(ordering),
        request_response: Some(v1::RequestResponse {
            enabled: spec.request_response.enabled,
            timeout_ms: spec.request_response.timeout_ms,
            on_late: word(&spec.request_response.on_late),
        }),
        dedupe: Some(v1::Dedupe {
            enabled: spec.dedupe.enabled,
            key: spec.dedupe.key.as_ref().map(key_place),
            window_s: spec.dedupe.window_s,
        }),
        rate_limit: spec.rate_limit.as_ref().map(rate_limit),
        acknowledgement: spec.acknowledgement.as_ref().map(acknowledgement),
        disabled_answer: word(&spec.disabled_answer),
        filter: spec.filter.as_ref().map(json_text),
        entity: spec.entity.as_ref().map(entity_rules),
        retention_events_s: spec.retention.events_s,
    }
}

pub(super) fn from_message(id: SourceId, message: v1::SourceDefinition) -> Result<Source, CodecError> {
    let keys: Result<Vec<ApiKey>, _> = message.api_keys.iter().map(from_api_key).collect();
    let old_names = message.old_names.iter().map(from_old_name).collect();
    Ok(Source {
        id,
        workspace: parse("source.workspace", &message.workspace)?,
        workspace_code: message.workspace_code.clone(),
        token: message.token.clone(),
        old_names,
        api_keys: keys?,
        spec: from_spec(message)?,
    })
}

fn from_spec(message: v1::SourceDefinition) -> Result<SourceSpec, CodecError> {
    let methods: Result<Vec<_>, _> = message
        .methods
        .iter()
        .map(|method| from_word("source.methods", method))
        .collect();
    let allow_ips: Result<Vec<_>, _> = message
        .allow_ips
        .iter()
        .map(|network| parse("source.allow_ips", network))
        .collect();
    let filter = message.filter.as_deref();
    Ok(SourceSpec {
        name: message.name,
        description: message.description,
        enabled: message.enabled,
        paused: message.paused,
        labels: message.labels,
        methods: methods?,
        public_name: message.public_name,
        allow_ips: allow_ips?,
        auth: from_auth(message.auth)?,
        query_params: message.query_params.into_iter().map(from_query_param).collect(),
        max_body_bytes: message.max_body_bytes,
        body_format: from_word("source.body_format", &message.body_format)?,
        force_list: message.force_list,
        ordering: message.ordering.map(from_ordering).transpose()?,
        request_response: from_request_response(message.request_response)?,
        dedupe: from_dedupe(message.dedupe)?,
        rate_limit: message.rate_limit.map(from_rate_limit),
        acknowledgement: message.acknowledgement.map(from_acknowledgement).transpose()?,
        disabled_answer: from_word("source.disabled_answer", &message.disabled_answer)?,
        filter: filter
            .map(|text| from_json_text("source.filter", text))
            .transpose()?,
        entity: message.entity.map(from_entity_rules).transpose()?,
        retention: Retention {
            events_s: message.retention_events_s,
        },
    })
}

fn old_name(old: &OldName) -> v1::OldName {
    v1::OldName {
        name: old.name.clone(),
        until_ms: old.until,
    }
}

fn from_old_name(old: &v1::OldName) -> OldName {
    OldName {
        name: old.name.clone(),
        until: old.until_ms,
    }
}

fn api_key(key: &ApiKey) -> v1::ApiKey {
    v1::ApiKey {
        id: key.id.to_string(),
        label: key.label.clone(),
        sha256: key.hash.to_vec(),
        hint: key.hint.clone(),
        created_at_ms: key.created_at,
    }
}

fn from_api_key(key: &v1::ApiKey) -> Result<ApiKey, CodecError> {
    let hash = key.sha256.as_slice().try_into();
    Ok(ApiKey {
        id: parse("api_key.id", &key.id)?,
        label: key.label.clone(),
        hash: hash.map_err(|error| CodecError::new("api_key.sha256", error))?,
        hint: key.hint.clone(),
        created_at: key.created_at_ms,
    })
}

fn auth(auth: &SourceAuth) -> v1::SourceAuth {
    use v1::source_auth::Auth;
    let auth = match auth {
        SourceAuth::None => Auth::None(v1::None {}),
        SourceAuth::ApiKey { header, query } => Auth::ApiKey(v1::ApiKeyAuth {
            header: header.clone(),
            query: query.clone(),
        }),
        SourceAuth::Basic { username, password } => Auth::Basic(v1::BasicAuth {
            username: username.clone(),
            password: Some(secret(password)),
        }),
        SourceAuth::Bearer { token } => Auth::Bearer(v1::BearerAuth {
            token: Some(secret(token)),
        }),
        SourceAuth::Jwt {
            jwks_url,
            public_key,
            secret: shared,
            issuer,
            audience,
        } => Auth::Jwt(v1::JwtAuth {
            jwks_url: jwks_url.clone(),
            public_key: public_key.clone(),
            secret: shared.as_ref().map(secret),
            issuer: issuer.clone(),
            audience: audience.clone(),
        }),
        SourceAuth::Signature {
            scheme,
            secrets,
            tolerance_s,
            public_url,
            verify_token,
            dimensions,
        } => Auth::Signature(v1::SignatureAuth {
            scheme: scheme.clone(),
            secrets: secrets.iter().map(secret).collect(),
            tolerance_s: *tolerance_s,
            public_url: public_url.clone(),
            verify_token: verify_token.as_ref().map(secret),
            dimensions: dimensions.as_deref().map(json_text),
        }),
    };
    v1::SourceAuth { auth: Some(auth) }
}

fn from_auth(auth: Option<v1::SourceAuth>) -> Result<SourceAuth, CodecError> {
    use v1::source_auth::Auth;
    const FIELD: &str = "source.auth";
    Ok(match needed(FIELD, auth.and_then(|auth| auth.auth))? {
        Auth::None(_) => SourceAuth::None,
        Auth::ApiKey(key) => SourceAuth::ApiKey {
            header: key.header,
            query: key.query,
        },
        Auth::Basic(basic) => SourceAuth::Basic {
            username: basic.username,
            password: from_secret(FIELD, basic.password)?,
        },
        Auth::Bearer(bearer) => SourceAuth::Bearer {
            token: from_secret(FIELD, bearer.token)?,
        },
        Auth::Jwt(jwt) => SourceAuth::Jwt {
            jwks_url: jwt.jwks_url,
            public_key: jwt.public_key,
            secret: jwt
                .secret
                .map(|shared| from_secret(FIELD, Some(shared)))
                .transpose()?,
            issuer: jwt.issuer,
            audience: jwt.audience,
        },
        Auth::Signature(signature) => SourceAuth::Signature {
            scheme: signature.scheme,
            secrets: from_secrets(FIELD, signature.secrets)?,
            tolerance_s: signature.tolerance_s,
            public_url: signature.public_url,
            verify_token: signature
                .verify_token
                .map(|token| from_secret(FIELD, Some(token)))
                .transpose()?,
            dimensions: signature
                .dimensions
                .map(|text| from_json_text(FIELD, &text))
                .transpose()?,
        },
    })
}

fn query_param(param: &QueryParam) -> v1::QueryParam {
    v1::QueryParam {
        name: param.name.clone(),
        default_value: param.default.clone(),
    }
}

fn from_query_param(param: v1::QueryParam) -> QueryParam {
    QueryParam {
        name: param.name,
        default: param.default_value,
    }
}

fn key_place(place: &KeyPlace) -> v1::KeyPlace {
    use v1::key_place::Place;
    let path = place.path.as_ref().map(|path| Place::Path(path.to_string()));
    let query = || place.query.clone().map(Place::Query);
    let header = || place.header.clone().map(Place::Header);
    v1::KeyPlace {
        place: path.or_else(query).or_else(header),
    }
}

fn from_key_place(place: v1::KeyPlace) -> Result<KeyPlace, CodecError> {
    use v1::key_place::Place;
    let mut found = KeyPlace::default();
    match needed("key place", place.place)? {
        Place::Header(header) => found.header = Some(header),
        Place::Query(query) => found.query = Some(query),
        Place::Path(path) => found.path = Some(parse("key path", &path)?),
    }
    Ok(found)
}

fn ordering(ordering: &SourceOrdering) -> v1::SourceOrdering {
    v1::SourceOrdering {
        mode: word(&ordering.mode),
        key: ordering.key.as_ref().map(key_place),
    }
}

fn from_ordering(ordering: v1::SourceOrdering) -> Result<SourceOrdering, CodecError> {
    Ok(SourceOrdering {
        mode: from_word("source.ordering.mode", &ordering.mode)?,
        key: ordering.key.map(from_key_place).transpose()?,
    })
}

fn from_request_response(message: Option<v1::RequestResponse>) -> Result<RequestResponse, CodecError> {
    let message = needed("source.request_response", message)?;
    Ok(RequestResponse {
        enabled: message.enabled,
        timeout_ms: message.timeout_ms,
        on_late: from_word("source.request_response.on_late", &message.on_late)?,
    })
}

fn from_dedupe(message: Option<v1::Dedupe>) -> Result<Dedupe, CodecError> {
    let message = needed("source.dedupe", message)?;
    Ok(Dedupe {
        enabled: message.enabled,
        key: message.key.map(from_key_place).transpose()?,
        window_s: message.window_s,
    })
}

fn acknowledgement(answer: &Acknowledgement) -> v1::Acknowledgement {
    v1::Acknowledgement {
        status: u32::from(answer.status),
        headers: answer.headers.clone(),
        body: answer.body.clone(),
    }
}

fn from_acknowledgement(answer: v1::Acknowledgement) -> Result<Acknowledgement, CodecError> {
    let status = u16::try_from(answer.status);
    Ok(Acknowledgement {
        status: status.map_err(|error| CodecError::new("source.acknowledgement.status", error))?,
        headers: answer.headers,
        body: answer.body,
    })
}

fn entity_rules(rules: &EntityRules) -> v1::EntityRules {
    let fields = rules.fields.iter().map(|(name, path)| v1::FieldPath {
        name: name.clone(),
        path: path.to_string(),
    });
    v1::EntityRules {
        entity_type: rules.entity_type.clone(),
        build: word(&rules.build),
        fetcher: text_option(rules.fetcher.as_ref()),
        path: rules.path.to_string(),
        unique_id: rules.unique_id.paths().iter().map(ToString::to_string).collect(),
        composite_id: is_composite(&rules.unique_id),
        title: text_option(rules.title.as_ref()),
        fields: fields.collect(),
        delete_when: rules.delete_when.as_ref().map(json_text),
        history: rules.history,
    }
}

fn from_entity_rules(rules: v1::EntityRules) -> Result<EntityRules, CodecError> {
    let fields = rules.fields.into_iter().map(|field| {
        let path = parse("entity.fields", &field.path)?;
        Ok((field.name, path))
    });
    let delete_when = rules.delete_when.as_deref();
    Ok(EntityRules {
        entity_type: rules.entity_type,
        build: from_word("entity.build", &rules.build)?,
        fetcher: parse_option("entity.fetcher", rules.fetcher.as_ref())?,
        path: parse("entity.path", &rules.path)?,
        unique_id: from_unique_id(&rules.unique_id, rules.composite_id)?,
        title: parse_option("entity.title", rules.title.as_ref())?,
        fields: fields.collect::<Result<_, CodecError>>()?,
        delete_when: delete_when
            .map(|text| from_json_text("entity.delete_when", text))
            .transpose()?,
        history: rules.history,
    })
}

pub(super) fn is_composite(unique_id: &UniqueId) -> bool {
    matches!(unique_id, UniqueId::Many(_))
}

pub(super) fn from_unique_id(paths: &[String], composite: bool) -> Result<UniqueId, CodecError> {
    const FIELD: &str = "entity.unique_id";
    let parsed: Result<Vec<_>, _> = paths.iter().map(|path| parse(FIELD, path)).collect();
    let mut parsed = parsed?;
    if composite {
        return Ok(UniqueId::Many(parsed));
    }
    needed(FIELD, parsed.pop()).map(UniqueId::One)
}
