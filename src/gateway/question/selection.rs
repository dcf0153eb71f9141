//! Reading which posts a question is about, if it names their authors instead of them, and which it keeps.

use crate::gateway::call::check::{Now, Problems, quoted};
use crate::gateway::call::json::{Node, Path};
use crate::gateway::question::read::given;
use crate::gateway::question::window::ReadWindow;
use crate::gateway::question::{Grouping, Limits, PostsOf, Top, Window};
use crate::model::{GroupBy, Metric};
use crate::upstream::MOST_LISTED;

const POSTS_OF: Path = Path::Key(&Path::Root, "posts_of");
const LAST: Path = Path::Key(&Path::Root, "last");
const WRITTEN: Path = Path::Key(&Path::Root, "written");
const TOP: Path = Path::Key(&Path::Root, "top");
/// X lists the posts of one account at a time.
const MOST_AUTHORS: usize = 100;
const MEMBERS: [(&str, Path); 2] = [("last", LAST), ("written", WRITTEN)];

impl Problems {
    /// Whose posts a question is about, and how the range in which they were written came about; `None` where it names
    /// posts.
    pub(super) fn selection(
        &mut self,
        root: &Node<'_>,
        limits: &Limits,
        now: Now,
    ) -> Option<(PostsOf, Option<ReadWindow>)> {
        let Some(node) = given(root, "posts_of") else {
            for (name, at) in &MEMBERS {
                if given(root, name).is_some() {
                    self.part(at, |part| {
                        part.add(at, "selects among the posts of posts_of, which is missing");
                    });
                }
            }
            return None;
        };
        let accounts = self.part(&POSTS_OF, |part| part.accounts(&POSTS_OF, node, MOST_AUTHORS));
        for name in ["tweet_ids", "owners"] {
            if given(root, name).is_some() {
                let at = Path::Key(&Path::Root, name);
                let detail = "is given beside posts_of; give either posts, or whose posts";
                self.part(&at, |part| part.add(&at, detail));
            }
        }
        let last = given(root, "last");
        let last = last.map(|node| self.part(&LAST, |part| part.last_posts(node)));
        let written = given(root, "written")
            .map(|node| self.part(&WRITTEN, |part| part.written(node, limits.days, now)));
        if last.is_none() && written.is_none() {
            let right = r#"needs last, such as 200, or written, such as {"last": "7d"}, beside it"#;
            self.part(&POSTS_OF, |part| part.add(&POSTS_OF, right));
        }
        if let Some(Some(last)) = last
            && accounts.len().saturating_mul(last) > limits.posts
        {
            let (count, most) = (accounts.len(), limits.posts);
            self.part(&LAST, |part| part.add(&LAST, format_args!(
                "asks for {last} posts of each of {count} accounts; limits.question_posts allows {most} posts in all"
            )));
        }
        let written = written.flatten();
        let span = written.as_ref().and_then(|read| read.window.span());
        Some((PostsOf { accounts, last: last.flatten(), written: span }, written))
    }

    fn last_posts(&mut self, node: &Node<'_>) -> Option<usize> {
        let count = match node {
            Node::Natural(count) => usize::try_from(*count).ok(),
            _ => None,
        };
        let count = count.filter(|count| (1..=MOST_LISTED).contains(count));
        if count.is_none() {
            let right = "must be a whole number from 1 to";
            self.add(
                &LAST,
                format_args!(
                    "{right} {MOST_LISTED}, the most posts of an account that X lists{}",
                    quoted(node)
                ),
            );
        }
        count
    }

    /// The range in which posts were written, which is given as a window is.
    fn written(&mut self, node: &Node<'_>, days: u16, now: Now) -> Option<ReadWindow> {
        let Node::Map(_) = node else {
            let right = r#"must be an object like {"start": "2026-01-01", "end": "2026-01-31"} or {"last": "7d"}"#;
            self.add(&WRITTEN, format_args!("{right}{}", quoted(node)));
            return None;
        };
        let read = self.question_window(&WRITTEN, Some(node), days, now)?;
        matches!(read.window, Window::Range(_)).then_some(read)
    }

    /// The posts that a question keeps. The groupings must tell which they are.
    pub(super) fn top(
        &mut self,
        root: &Node<'_>,
        (metrics, groupings): (&[Metric], &[Grouping]),
        limits: &Limits,
    ) -> Option<Top> {
        let node = given(root, "top")?;
        self.part(&TOP, |part| part.read_top(node, (metrics, groupings), limits))
    }

    fn read_top(
        &mut self,
        node: &Node<'_>,
        (metrics, groupings): (&[Metric], &[Grouping]),
        limits: &Limits,
    ) -> Option<Top> {
        let Node::Map(_) = node else {
            let right = r#"must be an object like {"by": "impressions", "count": 10}"#;
            self.add(&TOP, format_args!("{right}{}", quoted(node)));
            return None;
        };
        self.unknown_keys(&TOP, node, &["by", "count"]);
        let by = match node.member("by") {
            Some(Node::Text(name)) => Metric::from_name(name),
            _ => None,
        };
        let by = by.filter(|metric| metrics.contains(metric));
        if by.is_none() {
            let found = node.member("by").map(quoted).unwrap_or_default();
            self.add(
                &Path::Key(&TOP, "by"),
                format_args!("must be one of engagement_types{found}"),
            );
        }
        let count = match node.member("count") {
            Some(Node::Natural(count)) => usize::try_from(*count).ok(),
            _ => None,
        };
        let count = count.filter(|count| (1..=limits.posts).contains(count));
        if count.is_none() {
            let (most, found) =
                (limits.posts, node.member("count").map(quoted).unwrap_or_default());
            self.add(
                &Path::Key(&TOP, "count"),
                format_args!("must be a whole number from 1 to {most}{found}"),
            );
        }
        let tells = |level: GroupBy| move |grouping: &Grouping| grouping.group_by.contains(&level);
        let is_ranking = |grouping: &Grouping| {
            tells(GroupBy::TweetId)(grouping) && tells(GroupBy::EngagementType)(grouping)
        };
        if !groupings.iter().all(tells(GroupBy::TweetId)) || !groupings.iter().any(is_ranking) {
            self.add(&TOP, "needs tweet.id in every grouping, and engagement.type in one of them, since it keeps whole posts");
        }
        Some(Top { by: by?, count: count? })
    }
}
