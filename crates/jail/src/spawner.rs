use std::{
    io,
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::oneshot,
};

/// Starts processes on one thread that lives as long as this value.
///
/// A worker asks to be killed when its parent ends, and to the kernel the parent is the *thread* that started it
/// (prctl(2), `PR_SET_PDEATHSIG`). Threads of an async runtime come and go; this one does not.
#[derive(Debug, Default)]
pub(crate) struct Spawner {
    requests: Mutex<Option<mpsc::Sender<SpawnRequest>>>,
}

/// A process to be started.
struct SpawnRequest {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    /// Starts `command` for the runtime that this is called in.
    pub(crate) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, answer) = oneshot::channel();
        let request = SpawnRequest {
            command,
            runtime: Handle::current(),
            reply,
        };
        self.sender()?.send(request).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    fn sender(&self) -> io::Result<mpsc::Sender<SpawnRequest>> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*requests {
            return Ok(sender.clone());
        }
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("jail-spawner".to_owned())
            .spawn(move || serve(&receiver))?;
        Ok(requests.insert(sender).clone())
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that starts workers has ended")
}

fn serve(requests: &mpsc::Receiver<SpawnRequest>) {
    for mut request in requests {
        // Rust opens every file close-on-exec; files that this process inherited may not be.
        close_fds::set_fds_cloexec(3, &[]);
        let _runtime = request.runtime.enter();
        // When the caller no longer waits, `send` returns the process, and dropping it kills it.
        drop(request.reply.send(request.command.spawn()));
    }
}
