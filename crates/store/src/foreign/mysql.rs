//! Rows of MySQL and MariaDB.

use std::net::IpAddr;

use futures::TryStreamExt;
use hookrail_domain::{
    connection::database_url::{Encryption, Server},
    sync::sql_text::Dialect,
};
use sea_orm::sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sea_orm::sqlx::{self, AssertSqlSafe, Column, Connection, Executor, Row, SqlSafeStr, Statement};

use super::{CONNECT_TIMEOUT, ForeignError, Reading, STATEMENT_TIMEOUT, statement};

impl Reading {
    /// Reads from the first of `addresses` that answers.
    pub(super) async fn mysql(&mut self, server: &Server, addresses: &[IpAddr]) -> Result<(), ForeignError> {
        let mut connection = connect(server, addresses).await?;
        limit(&mut connection).await?;
        let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        connection.execute(sqlx::raw_sql(begin)).await?;
        let sql = AssertSqlSafe(statement::of_columns(Dialect::Mysql, &self.origin));
        let prepared = (&mut connection).prepare(sql.into_sql_str()).await?;
        let columns: Vec<String> = prepared
            .columns()
            .iter()
            .map(|column| column.name().to_owned())
            .collect();
        statement::check_columns(&columns, &self.origin)?;
        let sql = statement::of_rows(Dialect::Mysql, &self.origin, &columns, self.after.is_none());
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

/// MySQL and MariaDB call it differently; one of both works.
async fn limit(connection: &mut MySqlConnection) -> Result<(), ForeignError> {
    let seconds = STATEMENT_TIMEOUT.as_secs();
    let of_mariadb = format!("SET SESSION max_statement_time = {seconds}");
    if connection
        .execute(sqlx::raw_sql(AssertSqlSafe(of_mariadb)))
        .await
        .is_ok()
    {
        return Ok(());
    }
    let of_mysql = format!("SET SESSION max_execution_time = {}", seconds * 1000);
    connection.execute(sqlx::raw_sql(AssertSqlSafe(of_mysql))).await?;
    Ok(())
}

async fn connect(server: &Server, addresses: &[IpAddr]) -> Result<MySqlConnection, ForeignError> {
    let mut options = MySqlConnectOptions::new()
        .port(server.port)
        .username(&server.user)
        .database(&server.database)
        .charset("utf8mb4")
        .ssl_mode(match server.encryption {
            Encryption::Preferred => MySqlSslMode::Preferred,
            Encryption::Disabled => MySqlSslMode::Disabled,
            Encryption::Required => MySqlSslMode::Required,
            Encryption::VerifyAuthority => MySqlSslMode::VerifyCa,
        });
    if let Some(password) = &server.password {
        options = options.password(password);
    }
    let mut last = ForeignError::Away("its name has no address".to_owned());
    for address in addresses {
        let options = options.clone().host(&address.to_string());
        match tokio::time::timeout(CONNECT_TIMEOUT, MySqlConnection::connect_with(&options)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => last = error.into(),
            Err(_) => last = ForeignError::Away("it does not answer".to_owned()),
        }
    }
    Err(last)
}
