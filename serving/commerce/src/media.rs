//! Pictures, films and papers of a product, by their addresses; nothing is fetched or kept here.

use serde::{Deserialize, Serialize};

use crate::FieldProblem;
use crate::words::worded;

/// The most media references of a product.
pub const MEDIA_MAX: usize = 50;
/// The longest address, in bytes.
pub const MEDIA_URL_BYTES_MAX: usize = 2_000;
/// The longest words in place of a picture, in bytes of UTF-8.
pub const MEDIA_ALT_BYTES_MAX: usize = 300;

worded! {
    /// What an address leads to.
    MediaKind {
        /// A picture.
        Image = "image",
        /// A film.
        Video = "video",
        /// A paper to read.
        Document = "document",
    }
}

/// Where a picture, a film or a paper of a product is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaReference {
    /// What it is.
    pub kind: MediaKind,
    /// Its address, with `https`.
    pub url: String,
    /// What stands in its place for those who do not see it; may be empty.
    #[serde(default)]
    pub alt: String,
}

pub(crate) fn check(media: &[MediaReference]) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if media.len() > MEDIA_MAX {
        problems
            .push(FieldProblem::new("/media", format!("has {} entries; at most {MEDIA_MAX} are taken", media.len())));
    }
    for (index, MediaReference { url, alt, .. }) in media.iter().enumerate() {
        if let Err(wrong) = check_url(url) {
            problems.push(FieldProblem::new(format!("/media/{index}/url"), wrong));
        } else if let Some(first) = media[..index].iter().position(|other| other.url == *url) {
            problems.push(FieldProblem::new(format!("/media/{index}/url"), format!("is that of /media/{first}, too")));
        }
        if alt.len() > MEDIA_ALT_BYTES_MAX {
            let message = format!("has {} bytes; it must have at most {MEDIA_ALT_BYTES_MAX}", alt.len());
            problems.push(FieldProblem::new(format!("/media/{index}/alt"), message));
        }
    }
    problems
}

fn check_url(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("https://").ok_or("must begin with https://")?;
    if url.len() > MEDIA_URL_BYTES_MAX {
        return Err(format!("has {} bytes; it must have at most {MEDIA_URL_BYTES_MAX}", url.len()));
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    if host.is_empty() || host.contains('@') || !is_plain {
        return Err("must be an address with a host, no user, and other letters encoded by %".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(url: &str) -> MediaReference {
        MediaReference { kind: MediaKind::Image, url: url.to_owned(), alt: String::new() }
    }

    #[test]
    fn addresses_must_be_whole_and_different_and_each_wrong_one_is_pointed_at() {
        let right: Vec<_> =
            (0..MEDIA_MAX).map(|number| image(&format!("https://cdn.example/{number}.jpg?w=1#a"))).collect();
        assert_eq!(check(&right), []);
        for wrong in
            ["http://cdn.example/a.jpg", "https://", "https:///a", "https://me@cdn.example/", "https://a b/", "cdn"]
        {
            let problems = check(&[image("https://cdn.example/a.jpg"), image(wrong)]);
            assert_eq!(problems.iter().map(|p| p.pointer.as_str()).collect::<Vec<_>>(), ["/media/1/url"], "{wrong}");
        }
        let twice = check(&[image("https://a.example/"), image("https://a.example/")]);
        assert_eq!(twice[0].pointer, "/media/1/url");
        let many: Vec<_> = (0..=MEDIA_MAX).map(|number| image(&format!("https://a.example/{number}"))).collect();
        assert_eq!(check(&many)[0].pointer, "/media");
        let long = MediaReference { alt: "x".repeat(MEDIA_ALT_BYTES_MAX + 1), ..image("https://a.example/") };
        assert_eq!(check(&[long])[0].pointer, "/media/0/alt");
    }
}
