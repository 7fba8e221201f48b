//! Writing the audit log: each change is recorded in its own transaction, with who made it.

use hookrail_domain::Millis;
use hookrail_domain::ids::AuditId;
use hookrail_domain::json::Json;
use hookrail_runtime::clock;
use hookrail_store::audit::{self, AuditRow};
use hookrail_store::sea_orm::ConnectionTrait;

use crate::authenticated::Authenticated;
use crate::error::ApiError;
use crate::state::{ConfigState, new_id};

/// Who makes a change, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    /// The token's id, or a word for who has none.
    pub(crate) id: String,
    /// What the token is called.
    pub(crate) label: String,
    /// The client's address.
    pub(crate) address: Option<String>,
}

impl Actor {
    /// The product itself, for what it changes unasked.
    pub(crate) fn hookrail() -> Self {
        Self {
            id: "hookrail".to_owned(),
            label: "Hookrail itself".to_owned(),
            address: None,
        }
    }

    /// Whoever has the setting's token.
    pub(crate) fn setting() -> Self {
        Self {
            id: "root".to_owned(),
            label: "the token of the settings".to_owned(),
            address: None,
        }
    }
}

/// What was done to what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deed<'a> {
    /// `created`, `updated`, `deleted`, or a command.
    pub(crate) action: &'static str,
    /// What kind of thing it is.
    pub(crate) kind: &'static str,
    /// Its id.
    pub(crate) id: &'a str,
    /// Its name, where it has one.
    pub(crate) name: Option<&'a str>,
    /// What it was, JSON without secrets.
    pub(crate) before: Option<String>,
    /// What it is, JSON without secrets.
    pub(crate) after: Option<String>,
}

impl<'a> Deed<'a> {
    /// A command, which changes no document.
    pub(crate) fn command(action: &'static str, kind: &'static str, id: &'a str) -> Self {
        Self {
            action,
            kind,
            id,
            ..Self::default()
        }
    }

    /// With what the thing is now.
    pub(crate) fn with_after(self, after: &Json) -> Self {
        Self {
            after: Some(after.to_compact_string()),
            ..self
        }
    }

    /// With what the thing was before.
    pub(crate) fn with_before(self, before: &Json) -> Self {
        Self {
            before: Some(before.to_compact_string()),
            ..self
        }
    }
}

/// Records a deed in the transaction that it is part of. `workspace_id` is `None` for what is the
/// installation's.
pub(crate) async fn record<C: ConnectionTrait>(
    transaction: &C,
    actor: &Actor,
    workspace_id: Option<String>,
    deed: Deed<'_>,
    now: Millis,
) -> Result<(), ApiError> {
    let row = AuditRow {
        id: new_id::<AuditId>().to_string(),
        workspace_id,
        at: now,
        actor_id: actor.id.clone(),
        actor_label: actor.label.clone(),
        address: actor.address.clone(),
        action: deed.action.to_owned(),
        kind: deed.kind.to_owned(),
        subject_id: deed.id.to_owned(),
        subject_name: deed.name.map(str::to_owned),
        before: deed.before,
        after: deed.after,
    };
    Ok(audit::insert(transaction, row).await?)
}

/// Records a deed whose effect isn't in the database, once it has happened.
pub(crate) async fn note(
    state: &ConfigState,
    sender: &Authenticated,
    deed: Deed<'_>,
) -> Result<(), ApiError> {
    let transaction = state.store.write().await?;
    let workspace = Some(sender.workspace_id());
    record(&*transaction, &sender.actor, workspace, deed, clock::now_ms()).await?;
    Ok(transaction.commit().await?)
}
