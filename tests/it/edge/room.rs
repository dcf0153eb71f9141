//! How large a stranger's headers may be, and how many.

use crate::edge::own;
use crate::edge::raw::Raw;

#[tokio::test]
async fn a_head_may_be_as_large_as_it_may() {
    let gateway = own(|_| ()).await;
    for (bytes, status) in [(15_000, 200), (17_000, 431), (400_000, 431)] {
        let mut raw = Raw::connect(&gateway.url).await;
        let head = format!(
            "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Long: {}\r\n\r\n",
            "x".repeat(bytes)
        );
        raw.try_send(head).await;
        let answer = raw.rest().await;
        // Bytes sent after the refusal may reset the connection before the refusal is read.
        let refused = answer.starts_with("HTTP/1.1 431") || answer.is_empty();
        let served = answer.starts_with("HTTP/1.1 200");
        assert!(if status == 200 { served } else { refused }, "{bytes}: {answer}");
    }
}

#[tokio::test]
async fn a_head_of_too_many_fields_is_refused() {
    let gateway = own(|_| ()).await;
    for (fields, status) in [(60, 200), (65, 431), (1000, 431)] {
        let mut raw = Raw::connect(&gateway.url).await;
        let head = format!(
            "GET /livez HTTP/1.1\r\nConnection: close\r\n{}\r\n",
            "a: b\r\n".repeat(fields)
        );
        raw.send(head).await;
        let answer = raw.rest().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{fields}: {answer}");
    }
}
