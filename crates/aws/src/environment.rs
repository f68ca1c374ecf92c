//! The environment variables of the functions. Nothing else in the AWS shape reads them.
//!
//! The template sets the `TINTYPE_*` variables and Lambda the others. A variable that is missing or that cannot be
//! right ends the process at its start with a message that names it, so that a bad deployment fails before it takes
//! the first message from the queue.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail, ensure};

/// The least days that a tombstone stays. An event may lie 14 days in the queue and 14 more in the dead-letter queue
/// before it is sent back; two more days are for processing it.
pub const MIN_TOMBSTONE_DAYS: u32 = 14 + 14 + 2;

/// The variables of a process.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, OsString>);

impl std::fmt::Debug for Variables {
    /// Names only: Lambda passes credentials in variables.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Variables {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), OsString::from(value));
        Self(pairs.into_iter().map(own).collect())
    }
}

impl Variables {
    /// The variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self(std::env::vars_os().filter_map(named).collect())
    }

    /// The variable's value; `None` when it is not set or empty, which is how a template writes "not set".
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn optional(&self, name: &str) -> anyhow::Result<Option<&str>> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let value = value.to_str().with_context(|| format!("{name} is not UTF-8"))?;
        Ok(Some(value).filter(|value| !value.is_empty()))
    }

    /// The variable's value.
    ///
    /// # Errors
    /// When it is not set, empty, or not UTF-8.
    pub fn required(&self, name: &str) -> anyhow::Result<&str> {
        self.optional(name)?
            .ok_or_else(|| anyhow!("the environment variable {name} is not set"))
    }

    /// A whole number between `least` and `most`.
    ///
    /// # Errors
    /// When it is not set or not such a number.
    pub fn number(&self, name: &str, least: u32, most: u32) -> anyhow::Result<u32> {
        let value = self.required(name)?;
        let number = value
            .parse()
            .ok()
            .filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| anyhow!("{name} is {value:?}, not a whole number from {least} to {most}"))
    }

    /// A word made of ASCII letters, digits and the characters in `also`.
    fn word(&self, name: &str, also: &str) -> anyhow::Result<String> {
        let value = self.required(name)?;
        check_word(name, value, also)?;
        Ok(value.to_owned())
    }

    fn bucket(&self, name: &str) -> anyhow::Result<String> {
        let value = self.word(name, "-.")?;
        ensure!(
            (3..=63).contains(&value.len()),
            "{name} is {value:?}; a bucket's name has 3 to 63 characters"
        );
        Ok(value)
    }

    /// The number of an AWS account.
    fn account(&self, name: &str) -> anyhow::Result<String> {
        let value = self.required(name)?;
        ensure!(
            value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit()),
            "{name} is {value:?}, not an AWS account's number of 12 digits"
        );
        Ok(value.to_owned())
    }

    fn url(&self, name: &str) -> anyhow::Result<String> {
        let value = self.required(name)?;
        let uri: http::Uri = value
            .parse()
            .with_context(|| format!("{name} is {value:?}, not a URL"))?;
        ensure!(
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some(),
            "{name} is {value:?}, not a URL that starts with https://"
        );
        Ok(value.to_owned())
    }
}

fn check_word(name: &str, value: &str, also: &str) -> anyhow::Result<()> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || also.contains(character);
    if let Some(character) = value.chars().find(|&character| !allowed(character)) {
        bail!("{name} is {value:?}, where {character:?} cannot be");
    }
    Ok(())
}

/// The settings that Lambda gives to every function, from environment variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LambdaEnvironment {
    /// Host and port of the Runtime API (`AWS_LAMBDA_RUNTIME_API`).
    pub runtime_api: String,
    /// The function's memory in bytes (`AWS_LAMBDA_FUNCTION_MEMORY_SIZE`).
    pub memory_bytes: u64,
    /// The folder that the package was unpacked to (`LAMBDA_TASK_ROOT`).
    pub task_root: Option<PathBuf>,
}

impl LambdaEnvironment {
    /// Reads and checks the variables.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn read(variables: &Variables) -> anyhow::Result<Self> {
        // The runtime crate panics without these.
        for name in ["AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"] {
            variables.required(name)?;
        }
        let memory = variables.number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 128, 10_240)?;
        Ok(Self {
            runtime_api: variables.required("AWS_LAMBDA_RUNTIME_API")?.to_owned(),
            memory_bytes: u64::from(memory) << 20,
            task_root: variables.optional("LAMBDA_TASK_ROOT")?.map(PathBuf::from),
        })
    }
}

/// The functions that run the worker's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Turns messages of the job queue into renditions and records.
    Worker,
    /// Invalidates in CloudFront what is no longer public.
    Invalidator,
}

impl Function {
    /// Reads `TINTYPE_FUNCTION`: `worker`, which is the default, or `invalidator`.
    ///
    /// # Errors
    /// When it is another word.
    pub fn read(variables: &Variables) -> anyhow::Result<Self> {
        match variables.optional("TINTYPE_FUNCTION")? {
            None | Some("worker") => Ok(Self::Worker),
            Some("invalidator") => Ok(Self::Invalidator),
            Some(other) => bail!("TINTYPE_FUNCTION is {other:?}, neither \"worker\" nor \"invalidator\""),
        }
    }
}

/// The longest window that replaced pictures are gathered for, in minutes.
const MOST_REPLACEMENT_MINUTES: u32 = 60;

/// The settings of the worker function, from environment variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerEnvironment {
    /// The settings that Lambda gives.
    pub lambda: LambdaEnvironment,
    /// `TINTYPE_RAW_BUCKET`: the bucket of sources.
    pub raw_bucket: String,
    /// `TINTYPE_PROCESSED_BUCKET`: the bucket of renditions, never the raw bucket.
    pub processed_bucket: String,
    /// `TINTYPE_ACCOUNT`: the account that both buckets must belong to.
    pub account: String,
    /// `TINTYPE_TABLE`: the table of records.
    pub table: String,
    /// `TINTYPE_QUEUE_URL`: the queue that messages come from.
    pub queue_url: String,
    /// `TINTYPE_TOMBSTONE_DAYS`: the time for which the record of a deleted picture stays.
    pub tombstone_days: u32,
    /// `TINTYPE_MAX_RECEIVES`: the number of deliveries after which a message is dead, as in the queue's redrive
    /// policy.
    pub max_receives: u32,
    /// `TINTYPE_INVALIDATION_QUEUE_URL`: the queue of withdrawals.
    pub invalidation_queue_url: Option<String>,
    /// `TINTYPE_REPLACEMENT_MINUTES`: the time for which replaced pictures are gathered before they are invalidated;
    /// with 0, the default, they never are.
    pub replacement_minutes: u32,
    /// `TINTYPE_ENVIRONMENT`: the deployment's name, the dimension of its metrics.
    pub environment: String,
}

impl WorkerEnvironment {
    /// Reads and checks the variables.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn read(variables: &Variables) -> anyhow::Result<Self> {
        let raw_bucket = variables.bucket("TINTYPE_RAW_BUCKET")?;
        let processed_bucket = variables.bucket("TINTYPE_PROCESSED_BUCKET")?;
        ensure!(
            raw_bucket != processed_bucket,
            "TINTYPE_RAW_BUCKET and TINTYPE_PROCESSED_BUCKET are both {raw_bucket:?}: the output would trigger the \
             pipeline"
        );
        let invalidation_queue_url = variables
            .optional("TINTYPE_INVALIDATION_QUEUE_URL")?
            .map(|_| variables.url("TINTYPE_INVALIDATION_QUEUE_URL"))
            .transpose()?;
        let replacement_minutes = match invalidation_queue_url {
            Some(_) => variables.number("TINTYPE_REPLACEMENT_MINUTES", 0, MOST_REPLACEMENT_MINUTES)?,
            None => 0,
        };
        Ok(Self {
            raw_bucket,
            processed_bucket,
            account: variables.account("TINTYPE_ACCOUNT")?,
            tombstone_days: variables.number("TINTYPE_TOMBSTONE_DAYS", MIN_TOMBSTONE_DAYS, 3650)?,
            table: variables.word("TINTYPE_TABLE", "-_.")?,
            queue_url: variables.url("TINTYPE_QUEUE_URL")?,
            max_receives: variables.number("TINTYPE_MAX_RECEIVES", 1, 1000)?,
            invalidation_queue_url,
            replacement_minutes,
            environment: variables.word("TINTYPE_ENVIRONMENT", "-_.")?,
            lambda: LambdaEnvironment::read(variables)?,
        })
    }
}

/// The settings of the invalidator function, from environment variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidatorEnvironment {
    /// `TINTYPE_INVALIDATION_QUEUE_URL`: the queue that messages come from.
    pub queue_url: String,
    /// `TINTYPE_DISTRIBUTION_ID`: the distribution whose caches are invalidated.
    pub distribution_id: String,
    /// `TINTYPE_REPLACEMENT_MINUTES`: the length of the windows that replaced pictures are gathered for.
    pub replacement_minutes: u32,
}

impl InvalidatorEnvironment {
    /// Reads and checks the variables.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn read(variables: &Variables) -> anyhow::Result<Self> {
        LambdaEnvironment::read(variables)?;
        Ok(Self {
            queue_url: variables.url("TINTYPE_INVALIDATION_QUEUE_URL")?,
            distribution_id: variables.word("TINTYPE_DISTRIBUTION_ID", "-")?,
            replacement_minutes: variables.number(
                "TINTYPE_REPLACEMENT_MINUTES",
                0,
                MOST_REPLACEMENT_MINUTES,
            )?,
        })
    }
}

/// The credentials of callers of the API. The gateway checks them; the function only has to know their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorizer {
    /// Requests signed with AWS credentials.
    Iam,
    /// A bearer token.
    Jwt,
}

/// The settings of the API function, from environment variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiEnvironment {
    /// The settings that Lambda gives.
    pub lambda: LambdaEnvironment,
    /// `TINTYPE_RAW_BUCKET`: the bucket of uploads.
    pub raw_bucket: String,
    /// `TINTYPE_ACCOUNT`: the account that the bucket must belong to.
    pub account: String,
    /// `TINTYPE_TABLE`: the table of records.
    pub table: String,
    /// `TINTYPE_QUEUE_URL`: the queue of jobs.
    pub queue_url: String,
    /// `TINTYPE_DEAD_LETTER_QUEUE_URL`: the queue of messages that were given up.
    pub dead_letter_queue_url: String,
    /// `TINTYPE_PUBLIC_URL`: the beginning of generated URLs, without a slash at the end.
    pub public_url: String,
    /// `TINTYPE_AUTHORIZER`: `iam` or `jwt`.
    pub authorizer: Authorizer,
    /// `TINTYPE_ENVIRONMENT`: the deployment's name, the dimension of its metrics.
    pub environment: String,
    /// `TINTYPE_MAX_CONCURRENCY`: the number of workers that may run at once.
    pub max_concurrency: u32,
}

impl ApiEnvironment {
    /// Reads and checks the variables.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn read(variables: &Variables) -> anyhow::Result<Self> {
        let authorizer = match variables.required("TINTYPE_AUTHORIZER")? {
            "iam" => Authorizer::Iam,
            "jwt" => Authorizer::Jwt,
            other => bail!("TINTYPE_AUTHORIZER is {other:?}, neither \"iam\" nor \"jwt\""),
        };
        Ok(Self {
            raw_bucket: variables.bucket("TINTYPE_RAW_BUCKET")?,
            account: variables.account("TINTYPE_ACCOUNT")?,
            table: variables.word("TINTYPE_TABLE", "-_.")?,
            queue_url: variables.url("TINTYPE_QUEUE_URL")?,
            dead_letter_queue_url: variables.url("TINTYPE_DEAD_LETTER_QUEUE_URL")?,
            public_url: variables
                .url("TINTYPE_PUBLIC_URL")?
                .trim_end_matches('/')
                .to_owned(),
            authorizer,
            environment: variables.word("TINTYPE_ENVIRONMENT", "-_.")?,
            max_concurrency: variables.number("TINTYPE_MAX_CONCURRENCY", 2, 1000)?,
            lambda: LambdaEnvironment::read(variables)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[(&str, &str)] = &[
        ("TINTYPE_RAW_BUCKET", "raw-1"),
        ("TINTYPE_PROCESSED_BUCKET", "processed-1"),
        ("TINTYPE_ACCOUNT", "012345678901"),
        ("TINTYPE_TOMBSTONE_DAYS", "90"),
        ("TINTYPE_TABLE", "tintype_dev.images"),
        (
            "TINTYPE_QUEUE_URL",
            "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs",
        ),
        (
            "TINTYPE_DEAD_LETTER_QUEUE_URL",
            "http://127.0.0.1:4566/111111111111/dead",
        ),
        ("TINTYPE_MAX_RECEIVES", "5"),
        ("TINTYPE_INVALIDATION_QUEUE_URL", ""),
        ("TINTYPE_REPLACEMENT_MINUTES", "10"),
        ("TINTYPE_DISTRIBUTION_ID", "E1ABC"),
        ("TINTYPE_PUBLIC_URL", "https://images.example.com/"),
        ("TINTYPE_AUTHORIZER", "iam"),
        ("TINTYPE_MAX_CONCURRENCY", "4"),
        ("TINTYPE_ENVIRONMENT", "dev"),
        ("AWS_LAMBDA_FUNCTION_NAME", "worker"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "2048"),
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
    ];

    fn with(name: &str, value: Option<&str>) -> Variables {
        let others = GOOD.iter().copied().filter(|(other, _)| *other != name);
        others.chain(value.map(|value| (name, value))).collect()
    }

    fn worker_error(name: &str, value: Option<&str>) -> String {
        format!("{:#}", WorkerEnvironment::read(&with(name, value)).unwrap_err())
    }

    #[test]
    fn a_whole_environment_is_read() {
        let worker = WorkerEnvironment::read(&with("", None)).unwrap();
        assert_eq!(worker.raw_bucket, "raw-1");
        assert_eq!(worker.account, "012345678901");
        assert_eq!(worker.tombstone_days, 90);
        assert_eq!(worker.max_receives, 5);
        assert_eq!(worker.invalidation_queue_url, None, "empty is not set");
        assert_eq!(worker.replacement_minutes, 0);
        assert_eq!(worker.lambda.memory_bytes, 2048 << 20);
        let set = with("TINTYPE_INVALIDATION_QUEUE_URL", Some("https://sqs/1/news"));
        let worker = WorkerEnvironment::read(&set).unwrap();
        assert_eq!(
            worker.invalidation_queue_url.as_deref(),
            Some("https://sqs/1/news")
        );
        assert_eq!(worker.replacement_minutes, 10);
        let invalidator = InvalidatorEnvironment::read(&set).unwrap();
        assert_eq!(invalidator.queue_url, "https://sqs/1/news");
        assert_eq!(invalidator.distribution_id, "E1ABC");
        assert_eq!(invalidator.replacement_minutes, 10);
        let api = ApiEnvironment::read(&with("", None)).unwrap();
        assert_eq!(api.public_url, "https://images.example.com");
        assert_eq!(api.authorizer, Authorizer::Iam);
    }

    #[test]
    fn a_missing_variable_is_named() {
        let optional = [
            "TINTYPE_INVALIDATION_QUEUE_URL",
            "TINTYPE_REPLACEMENT_MINUTES",
            "TINTYPE_DISTRIBUTION_ID",
        ];
        for (name, _) in GOOD.iter().filter(|(name, _)| !optional.contains(name)) {
            for value in [None, Some("")] {
                let variables = with(name, value);
                let errors: Vec<_> = [
                    WorkerEnvironment::read(&variables).err(),
                    ApiEnvironment::read(&variables).err(),
                ]
                .into_iter()
                .flatten()
                .map(|error| error.to_string())
                .collect();
                assert!(!errors.is_empty(), "{name} is needed by a function");
                for error in errors {
                    assert_eq!(error, format!("the environment variable {name} is not set"));
                }
            }
        }
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (name, value) in [
            ("TINTYPE_RAW_BUCKET", "ab"),
            ("TINTYPE_RAW_BUCKET", "arn:aws:s3:::raw"),
            ("TINTYPE_PROCESSED_BUCKET", "a/b/c"),
            ("TINTYPE_PROCESSED_BUCKET", "raw-1"),
            ("TINTYPE_ACCOUNT", "12345678901"),
            ("TINTYPE_ACCOUNT", "self"),
            ("TINTYPE_TOMBSTONE_DAYS", "29"),
            ("TINTYPE_TABLE", "two words"),
            ("TINTYPE_QUEUE_URL", "jobs"),
            ("TINTYPE_QUEUE_URL", "ftp://host/jobs"),
            ("TINTYPE_MAX_RECEIVES", "0"),
            ("TINTYPE_MAX_RECEIVES", "-1"),
            ("TINTYPE_MAX_RECEIVES", "five"),
            ("TINTYPE_INVALIDATION_QUEUE_URL", "news"),
            ("TINTYPE_ENVIRONMENT", "a\nb"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "2 GB"),
        ] {
            let error = worker_error(name, Some(value));
            assert!(error.contains(name), "{name}={value}: {error}");
        }
        for (name, value) in [
            ("TINTYPE_INVALIDATION_QUEUE_URL", "news"),
            ("TINTYPE_INVALIDATION_QUEUE_URL", ""),
            ("TINTYPE_DISTRIBUTION_ID", "arn:aws:cloudfront"),
            ("TINTYPE_DISTRIBUTION_ID", ""),
            ("TINTYPE_REPLACEMENT_MINUTES", "61"),
        ] {
            let mut variables = with(name, Some(value));
            if name != "TINTYPE_INVALIDATION_QUEUE_URL" {
                let url = ("TINTYPE_INVALIDATION_QUEUE_URL", "https://sqs/1/news");
                variables.0.extend(Variables::from_iter([url]).0);
            }
            let error = InvalidatorEnvironment::read(&variables).unwrap_err().to_string();
            assert!(error.contains(name), "{name}={value}: {error}");
        }
        let function = |value| Function::read(&with("TINTYPE_FUNCTION", value));
        assert_eq!(function(None).unwrap(), Function::Worker);
        assert_eq!(function(Some("invalidator")).unwrap(), Function::Invalidator);
        let error = function(Some("bootstrap")).unwrap_err().to_string();
        assert!(error.contains("TINTYPE_FUNCTION"), "{error}");
        let jwt = with("TINTYPE_AUTHORIZER", Some("none"));
        let error = ApiEnvironment::read(&jwt).unwrap_err().to_string();
        assert!(error.contains("TINTYPE_AUTHORIZER"), "{error}");
    }

    #[test]
    fn values_are_not_printed_with_the_names() {
        let variables: Variables = [("AWS_SECRET_ACCESS_KEY", "hush")].into_iter().collect();
        assert_eq!(format!("{variables:?}"), "{\"AWS_SECRET_ACCESS_KEY\"}");
    }
}
