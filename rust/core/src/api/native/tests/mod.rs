mod answers;
mod counts;
mod requests;
