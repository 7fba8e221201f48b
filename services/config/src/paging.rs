//! Lists: `limit`, `cursor` and `order` of a request, and the page that is answered.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookrail_domain::json::Json;
use hookrail_store::IdPage;

use crate::error::ApiError;

/// Items of a page where the request names no number.
const DEFAULT_LIMIT: u64 = 50;
/// Most items of a page.
const MAX_LIMIT: u64 = 200;
/// Longest cursor, bytes.
const MAX_CURSOR_BYTES: usize = 1024;

/// Which part of a list is asked for. As an extractor it reads `limit`, `cursor` and `order`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageQuery {
    /// Items at the most.
    pub(crate) limit: u64,
    /// Where the page before ended: what its maker gave [`page`], opened again.
    pub(crate) after: Option<String>,
    /// Newest first.
    pub(crate) newest_first: bool,
}

impl PageQuery {
    /// For a list by id, with one item more than the page, which tells whether there is another page.
    pub(crate) fn by_id(&self) -> IdPage {
        IdPage {
            limit: self.limit + 1,
            after: self.after.clone(),
            newest_first: self.newest_first,
        }
    }

    /// Items at the most.
    pub(crate) fn limit_rows(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    fn read(query: &str) -> Result<Self, ApiError> {
        let wrong = |detail: &str| ApiError::InvalidParameter(detail.to_owned());
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|_| wrong("the query can't be read"))?;
        let mut page = Self {
            limit: DEFAULT_LIMIT,
            after: None,
            newest_first: true,
        };
        for (name, value) in pairs.into_inner() {
            match name.as_str() {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    page.limit = limit.ok_or_else(|| wrong("limit has to be 1 to 200"))?;
                }
                "cursor" => {
                    page.after =
                        Some(open_cursor(&value).ok_or_else(|| wrong("cursor is none of this list"))?)
                }
                "order" => {
                    page.newest_first = match value.as_str() {
                        "desc" => true,
                        "asc" => false,
                        _ => return Err(wrong("order has to be asc or desc")),
                    }
                }
                _ => {}
            }
        }
        Ok(page)
    }
}

impl FromRequest for PageQuery {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Self::read(request.query_string()))
    }
}

/// Answers with a page of `rows`, which are up to one more than the limit. `place` says where a row
/// stands in the list: what the next request's [`PageQuery::after`] will be.
pub(crate) fn page<R>(
    query: &PageQuery,
    mut rows: Vec<R>,
    place: impl Fn(&R) -> String,
    show: impl Fn(&R) -> Json,
) -> HttpResponse {
    let limit = query.limit_rows();
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(place);
    page_up_to(next, &rows, show)
}

/// Answers with a page of `rows`, and with `next`, where the next page begins.
pub(crate) fn page_up_to<R>(next: Option<String>, rows: &[R], show: impl Fn(&R) -> Json) -> HttpResponse {
    let items: Json = rows.iter().map(show).collect();
    let next = next.map_or(Json::Null, |next| URL_SAFE_NO_PAD.encode(next).into());
    crate::answer::json(&Json::from([("items", items), ("next_cursor", next)]))
}

fn open_cursor(cursor: &str) -> Option<String> {
    let bytes = (cursor.len() <= MAX_CURSOR_BYTES).then(|| URL_SAFE_NO_PAD.decode(cursor).ok())??;
    let text = String::from_utf8(bytes).ok()?;
    // A cursor goes into a comparison of keys; PostgreSQL refuses text with NUL.
    (!text.is_empty() && !text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_within_limits() {
        let read = |query| PageQuery::read(query).ok();
        assert_eq!(
            read("").unwrap(),
            PageQuery {
                limit: 50,
                after: None,
                newest_first: true
            }
        );
        assert_eq!(read("limit=200&order=asc&other=1").unwrap().limit, 200);
        for wrong in [
            "limit=0",
            "limit=201",
            "limit=x",
            "order=up",
            "cursor=%00",
            "cursor=AA",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(
            read(&format!("cursor={}", URL_SAFE_NO_PAD.encode("src_1")))
                .unwrap()
                .after
                .unwrap(),
            "src_1"
        );
    }
}
