//! The API function: `bootstrap` of its package.

fn main() -> std::process::ExitCode {
    tintype_aws::api::main()
}
