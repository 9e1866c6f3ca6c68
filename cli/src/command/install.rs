//! `diwan install`: the manifests of a cluster installation.

use std::process::ExitCode;

use anyhow::bail;
use diwan_db_manager::url::DatabaseUrl;

use crate::install::{Installation, Variant};

/// Prints the manifests of a cluster installation, for `kubectl apply --server-side -f -`.
#[derive(clap::Args)]
pub(crate) struct Install {
    /// Where the observation log is kept, and by how many replicas
    #[arg(long, value_enum, default_value_t = Variant::Standalone)]
    variant: Variant,
    /// The namespace of the installation
    #[arg(long, value_name = "NS", default_value = "kubeflow")]
    namespace: String,
    /// The image of `diwan`, as the cluster's nodes find it
    #[arg(long, value_name = "IMAGE", default_value = "diwan")]
    image: String,
    /// As a part of Kubeflow: the page behind Istio's gateway, users by its header, roles of profiles
    #[arg(long)]
    with_kubeflow: bool,
    /// Your database, for external-db and high-availability: postgres://USER:PASSWORD@HOST/DATABASE
    /// or mysql://…; without it you make the Secret with the URL
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

impl Install {
    /// Prints them, and says on stderr what else is needed.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        self.check_database()?;
        let installation = Installation {
            variant: self.variant,
            with_kubeflow: self.with_kubeflow,
            namespace: &self.namespace,
            image: &self.image,
            database_url: self.database_url.as_deref(),
        };
        super::print_yaml(&installation.objects()?)?;
        if let (Some((name, content)), None) = (self.variant.secret(), &self.database_url) {
            eprintln!(
                "diwan: the controller waits for a Secret of yours:\n  \
                 kubectl -n {} create secret generic {name} {content}",
                self.namespace
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    fn check_database(&self) -> anyhow::Result<()> {
        let Some(url) = &self.database_url else {
            return Ok(());
        };
        if !self.variant.takes_a_database() {
            bail!(
                "--database-url: this variant has a database of its own; add --variant external-db \
                 or high-availability"
            );
        }
        if let DatabaseUrl::Sqlite(_) = url.parse()? {
            bail!(
                "--database-url: sqlite needs a volume, which --variant standalone has; name a \
                 postgres:// or mysql:// server"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        install: Install,
    }

    #[test]
    fn a_database_is_for_the_variants_that_have_none() {
        for (line, complaint) in [
            ("--variant external-db --database-url mysql://u:p@h/d", ""),
            ("--variant high-availability", ""),
            ("--database-url mysql://u:p@h/d", "--variant external-db"),
            (
                "--variant external-db --database-url sqlite:///a.db",
                "a volume",
            ),
            ("--variant external-db --database-url oracle://h", "oracle"),
        ] {
            let words = ["install"].into_iter().chain(line.split(' '));
            let checked = Line::parse_from(words).install.check_database();
            let said = checked.map_or_else(|error| error.to_string(), |()| String::new());
            assert!(
                said.contains(complaint) && said.is_empty() == complaint.is_empty(),
                "{said}"
            );
        }
    }
}
