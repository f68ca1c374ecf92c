//! The secrets of an installation and the files that hand them to its owner.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rand::Rng;
use rand::distr::{Alphanumeric, SampleString};

/// The region that the S3 endpoint says it is in. Signatures for any region are accepted; in this one all clients sign
/// with version 4, which not all do in regions that S3 had before 2014, and no host of AWS bears its name
/// (`docs/decisions/0013-any-region.md`).
pub(crate) const REGION: &str = "local";
const PROFILE: &str = "tintype";

/// The secrets of an installation: made once, kept in files that only their owner can read.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// Access key of the S3 endpoint.
    pub(crate) access_key: String,
    /// Secret key of the S3 endpoint.
    pub(crate) secret_key: String,
    /// The token for the API and the admin pages.
    pub(crate) admin_token: String,
    /// The secret that makes versions unguessable.
    pub(crate) version_secret: Vec<u8>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads the secrets of the data folder, making those that are missing.
    pub(crate) fn load_or_create(data: &Path) -> anyhow::Result<Self> {
        let credentials_file = data.join("credentials");
        let (access_key, secret_key) = match read(&credentials_file)? {
            Some(text) => parse_profile(&text).with_context(|| {
                format!(
                    "{} has no profile [{PROFILE}] with both keys",
                    credentials_file.display()
                )
            })?,
            None => {
                let access_key = format!("TINTYPE{}", alphanumeric(13).to_uppercase());
                let secret_key = alphanumeric(40);
                let text = format!(
                    "[{PROFILE}]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"
                );
                write_private(&credentials_file, &text)?;
                (access_key, secret_key)
            }
        };
        let admin_token = secret_file(&data.join("admin-token"), || alphanumeric(32))?;
        let version_secret = secret_file(&data.join("version-secret"), || {
            hex::encode(rand::rng().random::<[u8; 32]>())
        })?;
        Ok(Self {
            access_key,
            secret_key,
            admin_token,
            version_secret: version_secret.into_bytes(),
        })
    }
}

/// Writes `DATA/env`, the variables for using the AWS CLI with this server, and the `DATA/config` that it names, unless
/// they are up to date.
pub(crate) fn write_env(data: &Path, address: SocketAddr, public_url: Option<&str>) -> anyhow::Result<()> {
    let data = std::fs::canonicalize(data).context("cannot find the data folder")?;
    let data_text = data
        .to_str()
        .context("the path of the data folder is not UTF-8")?;
    let config = format!("[profile {PROFILE}]\nregion = {REGION}\ns3 =\n  addressing_style = path\n");
    write_changed(&data.join("config"), &config)?;
    let endpoint = public_url.map_or_else(|| format!("http://{}", reachable(address)), str::to_owned);
    let text = format!(
        "export AWS_SHARED_CREDENTIALS_FILE={}\nexport AWS_CONFIG_FILE={}\nexport AWS_PROFILE={PROFILE}\n\
         export AWS_REGION={REGION}\nexport AWS_DEFAULT_REGION={REGION}\nexport AWS_ENDPOINT_URL={}\n",
        shell_quote(&format!("{data_text}/credentials")),
        shell_quote(&format!("{data_text}/config")),
        shell_quote(&endpoint),
    );
    write_changed(&data.join("env"), &text)
}

/// The address that a client on this machine connects to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => address.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
            SocketAddr::V6(_) => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
        }
    }
    address
}

fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn alphanumeric(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

fn secret_file(file: &Path, make: impl FnOnce() -> String) -> anyhow::Result<String> {
    if let Some(text) = read(file)? {
        let secret = text.trim();
        if secret.len() < 16 {
            bail!(
                "{} must hold at least 16 characters; delete it to have a new one made",
                file.display()
            );
        }
        return Ok(secret.to_owned());
    }
    let secret = make();
    write_private(file, &format!("{secret}\n"))?;
    Ok(secret)
}

fn read(file: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Replaces a file unless it has this text already.
fn write_changed(file: &Path, text: &str) -> anyhow::Result<()> {
    let is_same = std::fs::read(file).is_ok_and(|bytes| bytes == text.as_bytes());
    let is_private = || std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o077 == 0);
    if is_same && is_private() {
        return Ok(());
    }
    write_private(file, text)
}

/// Replaces a file at once, readable by its owner only.
fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    let temporary = PathBuf::from(format!("{}.new", file.display()));
    let write = || -> std::io::Result<()> {
        let _ = std::fs::remove_file(&temporary);
        let mut out = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        std::fs::rename(&temporary, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

fn parse_profile(text: &str) -> Option<(String, String)> {
    let mut in_profile = false;
    let (mut access_key, mut secret_key) = (None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            in_profile = name.trim() == PROFILE;
        } else if in_profile && let Some((name, value)) = line.split_once('=') {
            match name.trim() {
                "aws_access_key_id" => access_key = Some(value.trim().to_owned()),
                "aws_secret_access_key" => secret_key = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
    Some((access_key?, secret_key?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn secrets_are_made_once_and_only_their_owner_reads_them() {
        let data = tempfile::tempdir().unwrap();
        let first = Credentials::load_or_create(data.path()).unwrap();
        let second = Credentials::load_or_create(data.path()).unwrap();
        assert_eq!(first.access_key, second.access_key);
        assert_eq!(first.secret_key, second.secret_key);
        assert_eq!(first.admin_token, second.admin_token);
        assert_eq!(first.version_secret, second.version_secret);
        assert!(!format!("{first:?}").contains(&first.secret_key));
        let write_env = |port| write_env(data.path(), ([0, 0, 0, 0], port).into(), None).unwrap();
        let inode = |name: &str| std::fs::metadata(data.path().join(name)).unwrap().ino();
        write_env(81);
        let (config, env) = (inode("config"), inode("env"));
        write_env(81);
        assert_eq!(
            (inode("config"), inode("env")),
            (config, env),
            "nothing has changed"
        );
        write_env(82);
        assert_eq!(inode("config"), config);
        assert_ne!(inode("env"), env);
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(data.path().join("env"), open).unwrap();
        write_env(82);
        for name in ["credentials", "config", "admin-token", "version-secret", "env"] {
            let mode = std::fs::metadata(data.path().join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let env = std::fs::read_to_string(data.path().join("env")).unwrap();
        assert!(
            env.contains("export AWS_ENDPOINT_URL='http://127.0.0.1:82'\n"),
            "{env}"
        );
        assert!(env.contains("export AWS_PROFILE=tintype\n"), "{env}");
        let config = std::fs::read_to_string(data.path().join("config")).unwrap();
        assert!(config.contains(&format!("region = {REGION}\n")), "{config}");
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            assert!(env.contains(&format!("export {name}={REGION}\n")), "{env}");
        }
    }

    #[test]
    fn the_owner_may_bring_other_keys() {
        let data = tempfile::tempdir().unwrap();
        let text = "[default]\naws_access_key_id=no\n[tintype]\naws_access_key_id = mine\naws_secret_access_key=hush\n";
        std::fs::write(data.path().join("credentials"), text).unwrap();
        let credentials = Credentials::load_or_create(data.path()).unwrap();
        assert_eq!(
            (credentials.access_key.as_str(), credentials.secret_key.as_str()),
            ("mine", "hush")
        );
        std::fs::write(data.path().join("credentials"), "[default]\n").unwrap();
        assert!(format!("{:#}", Credentials::load_or_create(data.path()).unwrap_err()).contains("[tintype]"));
    }

    #[test]
    fn paths_with_quotes_survive_the_shell() {
        assert_eq!(shell_quote("it's"), r"'it'\''s'");
    }
}
