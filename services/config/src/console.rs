//! `/`: the place of the console.

use actix_web::HttpResponse;

const PAGE: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Hookrail</title></head>
<body><h1>Hookrail</h1>
<p>The gateway is running. Its interface is <code>/api/v1</code>, described by
<a href=\"/api/openapi.json\">/api/openapi.json</a>.</p></body></html>
";

/// The page.
pub(crate) async fn serve() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", "default-src 'self'"))
        .body(PAGE)
}
