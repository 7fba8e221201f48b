//! A receiver of webhooks that keeps what it got and answers with one status.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

pub(crate) struct Arrival {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Arrival {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }
}

#[derive(Clone)]
struct Kept {
    status: u16,
    body: &'static str,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    kept: Kept,
    handle: ServerHandle,
}

impl Receiver {
    pub(crate) fn answering(status: u16) -> Self {
        Self::answering_with(status, "as told")
    }

    pub(crate) fn answering_with(status: u16, body: &'static str) -> Self {
        let kept = Kept {
            status,
            body,
            arrivals: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let data = web::Data::new(kept.clone());
        let server =
            HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(take)))
                .workers(1)
                .disable_signals()
                .listen(listener)
                .unwrap()
                .run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, kept, handle }
    }

    pub(crate) fn take_all(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.kept.arrivals.lock().unwrap())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn take(kept: web::Data<Kept>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let text = |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    kept.arrivals.lock().unwrap().push(Arrival {
        headers,
        body: body.to_vec(),
    });
    HttpResponse::build(StatusCode::from_u16(kept.status).unwrap()).body(kept.body)
}
