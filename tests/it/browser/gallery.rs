//! Screenshots of pages, in two sizes and two colour schemes, kept under `target/screenshots`.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use crate::browser::chromium::Browser;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/screenshots");
const SIZES: [(&str, u32, u32); 2] = [("phone", 390, 844), ("wide", 1280, 900)];

impl Browser {
    /// Audits the page that is open in every size and colour scheme, and keeps screenshots.
    pub async fn shows(&self, page: &str) {
        fs::create_dir_all(FOLDER).unwrap();
        for (size, width, height) in SIZES {
            self.resizes(width, height, size == "phone").await;
            for scheme in ["light", "dark"] {
                let name = format!("{page}-{size}-{scheme}");
                self.turns(scheme).await;
                assert_eq!(self.faults().await, [""; 0], "{name}");
                assert_eq!(self.broken_rules().await, [""; 0], "{name}");
                self.take(&name, width, height, 1).await;
            }
        }
        assert_eq!(self.unreached().await, [""; 0], "{page}");
        // The browser logs that the page itself has an error status, which is intended.
        let own = format!("{} - Failed to load resource: the server responded", self.url().await);
        let mut complaints = self.complaints().await;
        complaints.retain(|complaint| !complaint.starts_with(&own));
        assert_eq!(complaints, [""; 0], "{page}");
    }

    /// A high-resolution screenshot of the page that is open, for people to look at.
    pub async fn poses(&self, name: &str, scheme: &str) {
        fs::create_dir_all(FOLDER).unwrap();
        let (_, width, height) = SIZES[1];
        self.resizes(width, height, false).await;
        self.turns(scheme).await;
        self.take(name, width, height, 2).await;
    }

    async fn resizes(&self, width: u32, height: u32, is_phone: bool) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone,
        });
        self.tell("Emulation.setDeviceMetricsOverride", metrics).await;
        // Pages that draw by script do so in the next frame.
        let drawn = "return new Promise(done =>
            requestAnimationFrame(() => requestAnimationFrame(() => done(true))))";
        self.run(drawn).await;
    }

    async fn turns(&self, scheme: &str) {
        let scheme = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.tell("Emulation.setEmulatedMedia", json!({ "features": scheme })).await;
    }

    /// A screenshot of the whole page, even where it is longer than the window.
    async fn take(&self, name: &str, width: u32, height: u32, scale: u32) {
        let length = self.run("return document.documentElement.scrollHeight").await;
        let height = length.as_u64().unwrap().max(height.into());
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": scale });
        let asked = json!({ "captureBeyondViewport": true, "clip": clip });
        let taken = self.tell("Page.captureScreenshot", asked).await;
        let picture = BASE64.decode(taken["data"].as_str().unwrap()).unwrap();
        fs::write(Path::new(FOLDER).join(format!("{name}.png")), picture).unwrap();
    }
}
