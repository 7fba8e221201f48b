//! The receiver of a proof: says which delivery came, and answers as it is told.

use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, http::StatusCode, web};

use crate::bodies::DeliveryBody;

/// One delivery that came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived {
    /// The number of the destination that it was sent to.
    pub(crate) destination: u32,
    pub(crate) body: DeliveryBody,
}

/// How it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) after: Duration,
}

impl Reply {
    /// Taken.
    pub(crate) const ACCEPTED: Reply = Reply {
        status: 204,
        after: Duration::ZERO,
    };
    /// Refused for now.
    pub(crate) const FAILED: Reply = Reply {
        status: 503,
        after: Duration::ZERO,
    };
    /// No answer within any time-out of a proof.
    pub(crate) const NEVER: Reply = Reply {
        status: 500,
        after: Duration::from_secs(90),
    };

    pub(crate) fn accepts(self) -> bool {
        (200..300).contains(&self.status)
    }
}

type Script = Arc<dyn Fn(Arrived) -> Reply + Send + Sync>;

/// A running receiver.
pub(crate) struct Sink {
    url: String,
    server: ServerHandle,
}

impl Sink {
    /// Starts one that answers as `script` says.
    ///
    /// # Errors
    /// When it can't listen.
    pub(crate) fn start(script: impl Fn(Arrived) -> Reply + Send + Sync + 'static) -> anyhow::Result<Self> {
        let script: Script = Arc::new(script);
        let listener = TcpListener::bind(hookrail_harness::ANY_PORT)?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = move || {
            App::new()
                .app_data(web::Data::new(Arc::clone(&script)))
                .route("/{destination}", web::post().to(receive))
        };
        let server = HttpServer::new(app)
            .workers(1)
            .max_connections(100_000)
            .disable_signals()
            .listen(listener)?
            .run();
        let handle = server.handle();
        std::thread::spawn(move || actix_web::rt::System::new().block_on(server));
        Ok(Self { url, server: handle })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn receive(destination: web::Path<u32>, body: web::Bytes, script: web::Data<Script>) -> HttpResponse {
    let body = serde_json::from_slice(&body).expect("a body of this proof");
    let reply = (script.as_ref())(Arrived {
        destination: *destination,
        body,
    });
    if !reply.after.is_zero() {
        actix_web::rt::time::sleep(reply.after).await;
    }
    HttpResponse::new(StatusCode::from_u16(reply.status).expect("a script answers with a status"))
}
