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
    orders: Mutex<Option<mpsc::Sender<Order>>>,
}

struct Order {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    /// Starts `command` for the runtime that this is called in.
    pub(crate) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, answer) = oneshot::channel();
        let order = Order {
            command,
            runtime: Handle::current(),
            reply,
        };
        self.sender()?.send(order).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn sender(&self) -> io::Result<mpsc::Sender<Order>> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*orders {
            return Ok(sender.clone());
        }
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("jail-spawner".to_owned())
            .spawn(move || obey(&receiver))?;
        Ok(orders.insert(sender).clone())
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts workers is gone")
}

fn obey(orders: &mpsc::Receiver<Order>) {
    for mut order in orders {
        // Rust opens every file close-on-exec; files that this process inherited may not be.
        close_fds::set_fds_cloexec(3, &[]);
        let _runtime = order.runtime.enter();
        // When the caller has gone away, the process comes back and is killed by being dropped.
        drop(order.reply.send(order.command.spawn()));
    }
}
