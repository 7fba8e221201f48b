//! One change of the definitions: rows, a new revision and its entry in the outbox, in one transaction.
//!
//! The revision's row stays locked until the end, so changes are checked and written one after another.

use std::time::Duration;

use hookrail_broker::seal_entry;
use hookrail_domain::Millis;
use hookrail_domain::snapshot::{Definition, Entry, Key};
use hookrail_domain::validation::FieldError;
use hookrail_keyring::KeyRing;
use hookrail_runtime::{clock, random};
use hookrail_store::outbox::OutboxRow;
use hookrail_store::{
    DefinitionRow, StoreError, WriteTransaction, definition_rows, definition_uses, outbox, revision, secrets,
};

use crate::audit_trail::{self, Actor, Deed};
use crate::definition::{Definable, Stored};
use crate::error::ApiError;
use crate::outbox_entry;
use crate::state::ConfigState;
use crate::{sealed_secrets, secret_fields};

/// How long an answer waits for its change to be in force.
const IN_FORCE_WAIT: Duration = Duration::from_millis(800);

/// Largest encoded definition, bytes: half of what a message has by default on the broker, so that it
/// can be published wherever events can. It bounds all that has no limit of its own: filters' values,
/// mappings, lists of names.
const MAX_ENTRY_BYTES: usize = 512 * 1024;

/// A change that is being made. Dropped without [`Change::commit`], nothing of it happens.
pub(crate) struct Change {
    transaction: WriteTransaction,
    key_ring: KeyRing,
    actor: Actor,
    /// The revision that it makes.
    pub(crate) revision: i64,
    /// When it is made.
    pub(crate) now: Millis,
}

impl Change {
    /// Begins a change that `actor` makes; waits for the one before it.
    pub(crate) async fn begin(state: &ConfigState, actor: &Actor) -> Result<Self, ApiError> {
        let transaction = state.store.write().await?;
        let revision = revision::raise(&transaction).await?;
        Ok(Self {
            transaction,
            key_ring: state.key_ring.clone(),
            actor: actor.clone(),
            revision,
            now: clock::now_ms(),
        })
    }

    /// Goes on to a further revision, for another definition in the same transaction.
    pub(crate) async fn raise(&mut self) -> Result<(), ApiError> {
        self.revision = revision::raise(&self.transaction).await?;
        Ok(())
    }

    /// For reading and writing as part of it. Nothing but SQL may be awaited until it ends.
    pub(crate) fn transaction(&self) -> &WriteTransaction {
        &self.transaction
    }

    /// The definition with this id and the values of its secrets, to be changed.
    pub(crate) async fn find<S: Definable>(
        &self,
        workspace_id: &str,
        id: &str,
    ) -> Result<Stored<S>, ApiError> {
        Stored::find_with_secrets(&**self.transaction(), &self.key_ring, workspace_id, id).await
    }

    /// Stores a new definition; its secrets are settled.
    pub(crate) async fn insert<S: Definable>(
        &self,
        id: String,
        workspace_id: String,
        token: String,
        mut spec: S,
    ) -> Result<Stored<S>, ApiError> {
        spec.derive();
        let row = DefinitionRow {
            id,
            workspace_id,
            name: spec.name().to_owned(),
            spec: spec_text(&spec)?,
            token,
            old_names: "[]".to_owned(),
            revision: self.revision,
            created_at: self.now,
            updated_at: self.now,
        };
        definition_rows::insert(&**self.transaction(), S::TABLE, &row)
            .await
            .map_err(name_taken::<S>)?;
        self.write_parts(&row.id, &mut spec).await?;
        self.record_definition::<S>("created", &row, None, Some(&row.spec))
            .await?;
        Ok(Stored { row, spec })
    }

    /// Stores a definition's new fields; its secrets are settled.
    pub(crate) async fn update<S: Definable>(&self, mut stored: Stored<S>) -> Result<Stored<S>, ApiError> {
        stored.spec.derive();
        let row = &mut stored.row;
        let before = std::mem::take(&mut row.spec);
        row.name = stored.spec.name().to_owned();
        row.spec = spec_text(&stored.spec)?;
        row.revision = self.revision;
        row.updated_at = self.now;
        definition_rows::update(&**self.transaction(), S::TABLE, row)
            .await
            .map_err(name_taken::<S>)?;
        self.write_parts(&stored.row.id, &mut stored.spec).await?;
        // Where it stays as it was, something of its own changed, which is recorded as such.
        if before != stored.row.spec {
            let after = Some(stored.row.spec.as_str());
            self.record_definition::<S>("updated", &stored.row, Some(&before), after)
                .await?;
        }
        Ok(stored)
    }

    /// Stores a definition's secrets again, sealed by the newest key; its version stays. Gives how many.
    pub(crate) async fn reseal<S: Definable>(&self, mut stored: Stored<S>) -> Result<usize, ApiError> {
        self.write_parts(&stored.row.id, &mut stored.spec).await?;
        Ok(stored.spec.secrets().len())
    }

    /// Removes a definition and all that belongs to it.
    pub(crate) async fn delete<S: Definable>(&self, stored: &Stored<S>) -> Result<(), ApiError> {
        let (transaction, id) = (&**self.transaction(), stored.row.id.as_str());
        secrets::replace(transaction, id, &[]).await?;
        definition_uses::replace(transaction, id, &[]).await?;
        definition_rows::delete(transaction, S::TABLE, id).await?;
        self.record_definition::<S>("deleted", &stored.row, Some(&stored.row.spec), None)
            .await
    }

    /// Records what is done to something of a workspace.
    pub(crate) async fn record(&self, workspace_id: &str, deed: Deed<'_>) -> Result<(), ApiError> {
        let workspace = Some(workspace_id.to_owned());
        audit_trail::record(&**self.transaction(), &self.actor, workspace, deed, self.now).await
    }

    async fn record_definition<S: Definable>(
        &self,
        action: &'static str,
        row: &DefinitionRow,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Result<(), ApiError> {
        let deed = Deed {
            action,
            kind: S::WHAT,
            id: &row.id,
            name: Some(&row.name),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        self.record(&row.workspace_id, deed).await
    }

    /// Says what is in force for `key` from this revision on. Refuses a definition that is too large to
    /// be published: it would hold up all changes after it.
    pub(crate) async fn publish(&self, key: Key, definition: Option<Definition>) -> Result<(), ApiError> {
        let transaction = &**self.transaction();
        let entry_key = outbox_entry::key_text(key);
        if matches!(definition, None | Some(Definition::DeletedSource(_))) {
            outbox::bury(transaction, &entry_key, self.now).await?;
        }
        let mut entry = Entry {
            revision: self.revision.unsigned_abs(),
            key,
            definition,
        };
        seal_entry(&self.key_ring, &mut entry, random::bytes)
            .map_err(|error| ApiError::Internal(error.into()))?;
        let payload = outbox_entry::encode(&entry);
        if payload.len() > MAX_ENTRY_BYTES {
            return Err(too_large(payload.len()));
        }
        let row = OutboxRow {
            revision: self.revision,
            entry_key,
            payload,
        };
        outbox::insert(transaction, row).await?;
        Ok(())
    }

    /// Makes it durable, wakes the publisher, and waits a moment until it is in force, so that whoever
    /// is answered can use what was made. Where that takes longer (the broker is away), it comes later.
    pub(crate) async fn commit(self, state: &ConfigState) -> Result<(), ApiError> {
        let revision = self.revision.unsigned_abs();
        self.transaction.commit().await?;
        state.outbox_changed.notify_one();
        state.snapshots.wait_for(revision, IN_FORCE_WAIT).await;
        Ok(())
    }

    async fn write_parts<S: Definable>(&self, id: &str, spec: &mut S) -> Result<(), ApiError> {
        let transaction = &**self.transaction();
        let rows = secret_fields::rows(spec, id);
        // One without its value was read without its secrets: to write it would lose them.
        if rows.len() < spec.secrets().len() {
            return Err(ApiError::Internal(anyhow::anyhow!("{id} would lose secrets")));
        }
        sealed_secrets::replace(transaction, &self.key_ring, id, rows).await?;
        definition_uses::replace(transaction, id, &spec.uses()).await?;
        Ok(())
    }
}

fn spec_text<S: Definable>(spec: &S) -> Result<String, ApiError> {
    serde_json::to_string(spec).map_err(|error| ApiError::Internal(error.into()))
}

fn too_large(bytes: usize) -> ApiError {
    let detail = format!("the whole definition has {bytes} bytes; it may have {MAX_ENTRY_BYTES}");
    ApiError::Invalid(vec![FieldError {
        code: Some("definition-too-large"),
        ..FieldError::new("", detail)
    }])
}

fn name_taken<S: Definable>(error: StoreError) -> ApiError {
    if error.is_unique_violation() {
        ApiError::conflict(
            "name-taken",
            format!("the workspace has a {} of that name", S::WHAT),
        )
    } else {
        error.into()
    }
}
