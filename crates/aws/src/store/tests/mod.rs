mod dead;
mod metadata;
mod object;
mod queue;
mod scripted;
