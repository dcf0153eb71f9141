//! A user's posts, newest first and page by page: `GET /2/users/{id}/tweets` of X's API v2 (reference 8.2).

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::Value;

use crate::model::{UserId, post};
use crate::upstream::lookup::{LookUpError, Resource};

/// The newest posts of a user, beyond which X lists none.
pub const MOST_LISTED: usize = 3200;

/// The posts that X lists in one answer. It counts reposts, which are left out.
const PAGE: RangeInclusive<usize> = 5..=100;

/// A page of a user's posts, without reposts of others' posts.
pub struct PostPageOf<'a> {
    pub user: UserId,
    /// The smallest and the largest id.
    pub ids: &'a RangeInclusive<u64>,
    /// The most posts: [`page_of`] these are asked for.
    pub most: usize,
    /// What the page before has given for this one.
    pub token: Option<&'a str>,
}

/// A part of a list.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct PostPage {
    /// Newest first.
    pub posts: Vec<u64>,
    /// What the next page is asked for with; `None` on the last.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    data: Option<Vec<Post>>,
    meta: Option<Meta>,
    errors: Option<Value>,
}

#[derive(Deserialize)]
struct Post {
    id: String,
}

#[derive(Deserialize)]
struct Meta {
    next_token: Option<String>,
}

/// How many posts a page is asked for if so many are wanted.
pub fn page_of(most: usize) -> usize {
    most.clamp(*PAGE.start(), *PAGE.end())
}

impl Resource for PostPageOf<'_> {
    type Found = PostPage;

    /// Ids tell a range exactly, where times are cut to seconds. They are exclusive at X.
    fn path(&self) -> String {
        let mut path = format!(
            "users/{}/tweets?max_results={}&exclude=retweets",
            self.user,
            page_of(self.most)
        );
        let (first, last) = self.ids.clone().into_inner();
        let parameters = [
            ("since_id", first.checked_sub(1).map(|id| id.to_string())),
            ("until_id", (last < post::LARGEST_ID).then(|| (last + 1).to_string())),
            ("pagination_token", self.token.map(str::to_owned)),
        ];
        for (name, value) in parameters {
            path.extend(value.map(|value| format!("&{name}={value}")));
        }
        path
    }

    fn read(&self, body: &[u8]) -> Result<PostPage, LookUpError> {
        read(body, self.ids)
    }
}

/// The page in an answer. A user of whom nothing can be listed is an error beside status 200.
fn read(body: &[u8], ids: &RangeInclusive<u64>) -> Result<PostPage, LookUpError> {
    let Ok(Listed { data, meta, errors }) = serde_json::from_slice(body) else {
        return Err(LookUpError::Odd(200));
    };
    let Some(meta) = meta else {
        return Err(if errors.is_some() { LookUpError::NotShown } else { LookUpError::Odd(200) });
    };
    let id = |post: Post| post.id.parse().ok().filter(|id| ids.contains(id));
    // A token goes into the next request's query.
    let is_plain = |next: &String| next.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let posts = data.into_iter().flatten().filter_map(id).collect();
    match meta.next_token {
        Some(next) if !is_plain(&next) => Err(LookUpError::Odd(200)),
        next => Ok(PostPage { posts, next }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_where_there_is_one() {
        let page = |posts: &[u64], next: Option<&str>| {
            Some(PostPage { posts: posts.to_vec(), next: next.map(str::to_owned) })
        };
        for (body, expected) in [
            (
                r#"{"data":[{"id":"21","text":"x"},{"id":"20"}],"meta":{"result_count":2,"next_token":"7a"}}"#,
                page(&[21, 20], Some("7a")),
            ),
            (r#"{"meta":{"result_count":0}}"#, page(&[], None)),
            (r#"{"data":[{"id":"9"},{"id":"20"},{"id":"x"}],"meta":{}}"#, page(&[20], None)),
            (r#"{"data":[{"id":"20"}],"meta":{"next_token":"a&b=c"}}"#, None),
            (r#"{"errors":[{"title":"Not Found Error"}]}"#, None),
            (r#"{"data":[{"id":20}],"meta":{}}"#, None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(read(body.as_bytes(), &(10..=30)).ok(), expected, "{body}");
        }
    }

    #[test]
    fn a_range_of_ids_is_exact_where_it_has_bounds() {
        let user = UserId::parse("12").unwrap();
        let path = |ids, most, token| PostPageOf { user, ids: &ids, most, token }.path();
        assert_eq!(
            path(0..=post::LARGEST_ID, 1, None),
            "users/12/tweets?max_results=5&exclude=retweets"
        );
        assert_eq!(
            path(20..=29, 700, Some("7a")),
            "users/12/tweets?max_results=100&exclude=retweets&since_id=19&until_id=30&pagination_token=7a"
        );
    }
}
