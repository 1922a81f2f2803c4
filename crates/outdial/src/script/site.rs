//! A folder as a web site on loopback, for documents that are tried out.

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running site; it ends with this value.
#[derive(Debug)]
pub(crate) struct Site {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    /// Serves the files below `folder` at `address`; what is missing is 404.
    pub(crate) async fn serve(folder: PathBuf, address: &str) -> Result<Self> {
        Self::serve_with(folder, address, Router::new()).await
    }

    /// The same, with other pages before those of the folder.
    pub(crate) async fn serve_with(folder: PathBuf, address: &str, others: Router) -> Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot serve pages at {address}"))?;
        let address = listener.local_addr()?;
        let router =
            others.fallback_service(Router::new().fallback(page).with_state(Arc::new(folder)));
        let task = tokio::task::spawn(async move {
            // It ends when the site is dropped.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn page(State(folder): State<Arc<PathBuf>>, OriginalUri(uri): OriginalUri) -> Response {
    file(&folder, uri.path()).await
}

/// The file at a path of the site, or 404.
pub(crate) async fn file(folder: &Path, path: &str) -> Response {
    let Some(file) = below(folder, path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match tokio::fs::read(&file).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, media_type(&file))], bytes).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The file of a path, never one outside of the folder.
fn below(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = percent_decoded(path)?;
    let relative = Path::new(path.trim_start_matches('/'));
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    let file = folder.join(relative).canonicalize().ok()?;
    (plain && file.starts_with(folder.canonicalize().ok()?) && file.is_file()).then_some(file)
}

fn percent_decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn media_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "au" => "audio/basic",
        "gram" => "application/srgs",
        "grxml" => "application/srgs+xml",
        "js" => "text/javascript",
        "json" => "application/json",
        "txt" => "text/plain",
        "vxml" => "application/voicexml+xml",
        "wav" => "audio/x-wav",
        "xml" => "text/xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_below_the_folder_are_served() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        std::fs::create_dir_all(site.join("sub")).unwrap();
        std::fs::write(site.join("sub/a b.vxml"), "x").unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        let served = ["/sub/a%20b.vxml", "/sub", "/../secret", "/%2e%2e/secret", "/none", "/%f"];
        let served = served.map(|path| below(&site, path).is_some());
        assert_eq!(served, [true, false, false, false, false, false]);
    }
}
