//! The TLS settings of all clients of the upstream, and the client for everything but calls.

use rustls_platform_verifier::BuilderVerifierExt;

use crate::config;
use crate::upstream::error::SetupError;

/// The client for infrequent requests; no redirects and no proxies, since credentials travel with each request.
pub(super) fn client(
    settings: &config::Upstream,
    limits: &config::Limits,
) -> Result<reqwest::Client, SetupError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(uses_tls(settings))?)
        .https_only(!settings.allow_http)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(limits.upstream_connect)
        .read_timeout(limits.upstream_first_byte)
        .timeout(limits.upstream_total)
        // A kept connection may be closing, and the exchange of a verifier cannot be sent again.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| SetupError::Tls(Box::new(error)))
}

/// Whether any URL of the upstream needs TLS.
pub(super) fn uses_tls(settings: &config::Upstream) -> bool {
    [&settings.data_url, &settings.api_url].iter().any(|url| url.starts_with("https:"))
}

/// TLS that trusts the system's certificates; none are read if TLS is not used.
pub(super) fn tls(is_used: bool) -> Result<rustls::ClientConfig, SetupError> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SetupError::Tls(Box::new(error)))?;
    if !is_used {
        let nobody = rustls::RootCertStore::empty();
        return Ok(builder.with_root_certificates(nobody).with_no_client_auth());
    }
    let builder =
        builder.with_platform_verifier().map_err(|error| SetupError::Tls(Box::new(error)))?;
    Ok(builder.with_no_client_auth())
}
