//! Rows of PostgreSQL.

use std::net::IpAddr;

use futures::TryStreamExt;
use hookrail_domain::{
    connection::database_url::{Encryption, Server},
    sync::sql_text::Dialect,
};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sea_orm::sqlx::{self, AssertSqlSafe, Column, Connection, Executor, Row, SqlSafeStr, Statement};

use super::{CONNECT_TIMEOUT, ForeignError, Reading, STATEMENT_TIMEOUT, own, statement};

impl Reading {
    /// Reads from the first of `addresses` that answers.
    pub(super) async fn postgres(
        &mut self,
        server: &Server,
        addresses: &[IpAddr],
    ) -> Result<(), ForeignError> {
        let mut connection = connect(server, addresses).await?;
        own::refuse_postgres(&self.own, &mut connection).await?;
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL row_security = on",
            STATEMENT_TIMEOUT.as_millis()
        );
        connection.execute(sqlx::raw_sql(AssertSqlSafe(begin))).await?;
        let sql = AssertSqlSafe(statement::of_columns(Dialect::Postgres, &self.origin));
        let prepared = (&mut connection).prepare(sql.into_sql_str()).await?;
        let columns: Vec<String> = prepared
            .columns()
            .iter()
            .map(|column| column.name().to_owned())
            .collect();
        statement::check_columns(&columns, &self.origin)?;
        let sql = statement::of_rows(Dialect::Postgres, &self.origin, &columns, self.after.is_none());
        let mut query = sqlx::query(AssertSqlSafe(sql));
        if let Some(after) = self.after.clone() {
            query = query.bind(after);
        }
        let mut rows = query.fetch(&mut connection);
        while let Some(row) = rows.try_next().await? {
            let (key, text) = (row.try_get(0)?, row.try_get(1)?);
            if !self.pieces.push(key, text, &columns).await? {
                break;
            }
        }
        Ok(())
    }
}

async fn connect(server: &Server, addresses: &[IpAddr]) -> Result<PgConnection, ForeignError> {
    let options = PgConnectOptions::new_without_pgpass()
        .port(server.port)
        .username(&server.user)
        .password(server.password.as_deref().unwrap_or_default())
        .database(&server.database)
        .application_name("hookrail sync")
        .ssl_mode(match server.encryption {
            Encryption::Preferred => PgSslMode::Prefer,
            Encryption::Disabled => PgSslMode::Disable,
            Encryption::Required => PgSslMode::Require,
            Encryption::VerifyAuthority => PgSslMode::VerifyCa,
        });
    let mut last = ForeignError::Away("its name has no address".to_owned());
    for address in addresses {
        let options = options.clone().host(&address.to_string());
        match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => last = error.into(),
            Err(_) => last = ForeignError::Away("it does not answer".to_owned()),
        }
    }
    Err(last)
}
