//! The file that tells kubectl and SDKs where the API is and who may use it.

use std::{io, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{private_file, tls::Credentials};

/// Writes a kubeconfig for the API at `server` (`https://HOST:PORT`), readable by its owner only.
pub fn write_kubeconfig(path: &Path, credentials: &Credentials, server: &str) -> io::Result<()> {
    private_file::write(path, &text(credentials, server))
}

fn text(credentials: &Credentials, server: &str) -> String {
    let ca = STANDARD.encode(credentials.ca());
    let token = credentials.token();
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: diwan
  cluster:
    server: \"{server}\"
    certificate-authority-data: {ca}
users:
- name: diwan
  user:
    token: \"{token}\"
contexts:
- name: diwan
  context:
    cluster: diwan
    user: diwan
    namespace: default
current-context: diwan
"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::tls::Credentials;

    #[test]
    fn the_file_is_yaml_with_everything_a_client_needs() {
        let directory = tempfile::tempdir().unwrap();
        let credentials = Credentials::open(directory.path(), &[]).unwrap();
        let text = super::text(&credentials, "https://127.0.0.1:8080");
        let config: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(
            config["clusters"][0]["cluster"]["server"],
            "https://127.0.0.1:8080"
        );
        assert_eq!(config["users"][0]["user"]["token"], credentials.token());
    }
}
