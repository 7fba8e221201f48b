//! A receiver of webhooks: records every arrival, and answers as it is told.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, http::StatusCode, web};

use crate::wait::eventually;

/// One request that arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Vec<u8>,
    /// The status that it was answered with.
    pub answered: u16,
}

impl Arrival {
    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON. Numbers beyond 64 bits lose digits here: compare those in [`Arrival::text`].
    ///
    /// # Panics
    /// When the body is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Wait before it.
    pub after: Duration,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

impl Reply {
    /// An empty answer with this status, at once.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            after: Duration::ZERO,
            headers: Vec::new(),
            body: String::new(),
        }
    }
}

type Script = Arc<dyn Fn(&Arrival) -> Reply + Send + Sync>;

struct State {
    arrivals: Mutex<Vec<Arrival>>,
    script: Script,
    keep_bodies: bool,
}

/// A running receiver.
pub struct Receiver {
    url: String,
    state: Arc<State>,
    server: ServerHandle,
}

impl Receiver {
    /// One that answers 204 to everything.
    ///
    /// # Errors
    /// When it can't listen.
    pub fn start() -> anyhow::Result<Self> {
        Self::with_script(|_| Reply::status(204))
    }

    /// One that answers as `script` says. Probes (`hookrail-test: true`) are answered with 204 and not
    /// recorded.
    ///
    /// # Errors
    /// When it can't listen.
    pub fn with_script(script: impl Fn(&Arrival) -> Reply + Send + Sync + 'static) -> anyhow::Result<Self> {
        Self::listen(Arc::new(script), true)
    }

    /// One that keeps no bodies, for many arrivals.
    ///
    /// # Errors
    /// When it can't listen.
    pub fn without_bodies(
        script: impl Fn(&Arrival) -> Reply + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        Self::listen(Arc::new(script), false)
    }

    fn listen(script: Script, keep_bodies: bool) -> anyhow::Result<Self> {
        let state = Arc::new(State {
            arrivals: Mutex::default(),
            script,
            keep_bodies,
        });
        let listener = TcpListener::bind(crate::ANY_PORT)?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::clone(&state);
        let server = HttpServer::new(move || {
            let app = App::new().app_data(web::Data::from(Arc::clone(&shared)));
            app.app_data(web::PayloadConfig::new(64 << 20))
                .default_service(web::to(receive))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        std::thread::spawn(move || actix_web::rt::System::new().block_on(server));
        Ok(Self {
            url,
            state,
            server: handle,
        })
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What has arrived so far, in order of arrival.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.state.arrivals.lock().expect("no holder panics").clone()
    }

    /// How many have arrived so far.
    pub fn count(&self) -> usize {
        self.state.arrivals.lock().expect("no holder panics").len()
    }

    /// Waits until `count` have arrived, for `seconds` at most.
    ///
    /// # Errors
    /// When fewer have by then.
    pub async fn wait_for(&self, count: usize, seconds: u64) -> anyhow::Result<Vec<Arrival>> {
        let enough = || async { (self.count() >= count).then(|| self.arrivals()) };
        let found = eventually(&format!("{count} arrivals"), seconds, enough).await;
        found.map_err(|error| error.context(format!("{} arrived", self.count())))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn receive(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> HttpResponse {
    let headers = request.headers().iter();
    let mut arrival = Arrival {
        at: Instant::now(),
        method: request.method().to_string(),
        path: request.uri().to_string(),
        headers: headers
            .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
            .collect(),
        body: body.to_vec(),
        answered: 0,
    };
    if arrival.header("hookrail-test") == "true" {
        return HttpResponse::NoContent().finish();
    }
    let reply = (state.script)(&arrival);
    arrival.answered = reply.status;
    if !state.keep_bodies {
        arrival.body = Vec::new();
    }
    state.arrivals.lock().expect("no holder panics").push(arrival);
    actix_web::rt::time::sleep(reply.after).await;
    let status = StatusCode::from_u16(reply.status).expect("a script answers with a status");
    let mut answer = HttpResponse::build(status);
    for header in &reply.headers {
        answer.insert_header((header.0.as_str(), header.1.as_str()));
    }
    answer.body(reply.body)
}
