//! Every limit of the local network, with the attack that it answers (numbers of the
//! attack catalogue in brackets).

use std::time::Duration;

/// The largest datagram: one Ethernet frame, so that nothing is ever put together from parts (N06).
pub const MAX_DATAGRAM: usize = 1472;
/// Files in one question.
pub const MAX_WANTED: usize = 40;
/// The longest name of a file, in bytes.
pub const MAX_NAME: usize = 255;
/// Names that are asked for in the words of version 1, which knows one name a question.
pub const MAX_NAMES: usize = 256;

/// How long the first question to a network waits for anybody; Wi-Fi that saves power needs some time.
pub const FIRST_WAIT: Duration = Duration::from_millis(50);
/// A wait that is shorter is none: it has shrunk to nothing.
pub const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// The longest, however slow those are who have answered before (N12).
pub const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// How many times what the slowest needed of late those get who are known to be there.
pub const PATIENCE: u32 = 4;
/// And never less than this: a machine that is busy answers some milliseconds late now and then.
pub const LEAST_PATIENCE: Duration = Duration::from_millis(10);
/// Peers that are heard in one command; whoever answers later is not (N08).
pub const MAX_PEERS: usize = 32;
/// Places that are offered for one file (N08).
pub const MAX_PLACES: usize = 8;
/// Peers of one network that are remembered, and asked without a broadcast.
pub const MAX_REMEMBERED: usize = 16;
/// Networks that are remembered.
pub const MAX_NETWORKS: usize = 32;
/// Questions in a row that a remembered peer may leave unanswered.
pub const MAX_SILENCE: u32 = 3;
/// How long somebody is remembered who was not heard.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Where peers are known, others are looked for after this time.
pub const LOOK_AROUND: Duration = Duration::from_secs(10 * 60);
/// Where nobody ever answers, everybody is asked again after this time: until then a command sends nothing.
pub const ALONE_FOR: Duration = Duration::from_secs(60);

/// How long a connection to a peer may take to stand (N12).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the head of its reply may take in all (N12).
pub const REPLY_TIME: Duration = Duration::from_secs(3);
/// How long each next piece of a body may take; so long a small file waits for a peer that stops, before the mirror
/// goes on with it (N12).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of a reply's head (N17).
pub const MAX_REPLY_HEAD: usize = 8 << 10;
/// Headers of one reply or request (N17).
pub const MAX_HEADERS: usize = 32;
/// The lowest port that an answer of version 2 is believed to have: no peer is root, and a forged
/// answer must not make us talk to a service of the system (N02).
pub const LOWEST_PORT: u16 = 1024;

/// Answers that one address gets at once (N04, N07).
pub const BURST: u32 = 64;
/// And then for each second.
pub const ANSWERS_A_SECOND: u32 = 32;
/// Answers to all in a second (N07).
pub const ALL_ANSWERS_A_SECOND: u32 = 4000;
/// Addresses that are told apart; of more than so many some share what one may have (N07).
pub const MAX_SOURCES: usize = 4096;
/// Bytes of questions that the kernel is asked to hold, so that a flood leaves room for those who mean well (N07).
pub const QUESTION_BUFFER: usize = 1 << 20;
/// Bytes of answers that the kernel is asked to hold: it keeps those to addresses for which nobody answers for some
/// seconds, and there must be room for the others (N07). All answers of three seconds, as it counts them.
pub const ANSWER_BUFFER: usize = 8 << 20;
/// How long a peer counts that was not heard any more; it says hello three times in that.
pub const PEER_EXPIRES: Duration = Duration::from_secs(30 * 60);
/// Between two hellos.
pub const HELLO_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Connections at a time (N27).
pub const MAX_CONNECTIONS: usize = 256;
/// Of these, from one address (N25, N27).
pub const MAX_CONNECTIONS_OF_ONE: usize = 32;
/// How long a request's head may take, also the next one of a connection (N25, N26).
pub const HEAD_TIME: Duration = Duration::from_secs(5);
/// Bytes of a request's head (N17).
pub const MAX_HEAD: usize = 8 << 10;
/// The speed below which a reader is cut off (N26), in bytes a second ...
pub const SLOWEST_READER: u64 = 1 << 10;
/// ... over this time.
pub const READER_WINDOW: Duration = Duration::from_secs(20);
/// The speed below which a reader makes room for others when all places are taken (N26), in bytes a second ...
pub const DECENT_PACE: u64 = 32 << 10;
/// The speed from which a reader keeps its place whoever comes; of those below it the slowest one makes room when all
/// places are taken, so that nobody keeps them all by taking just enough (N26, N27), in bytes a second ...
pub const GOOD_PACE: u64 = 1 << 20;
/// ... over this time.
pub const PACE_TIME: Duration = Duration::from_secs(1);
/// Bytes that are read at a time from a file that is not in memory. A transfer holds one such piece at most, all together
/// 16 MiB (N26).
pub const PIECE: usize = 64 << 10;
/// Bytes that the kernel is asked to send at a time from a file that is: meanwhile everybody else waits.
pub const AT_ONCE: usize = 256 << 10;
/// Connections for which the kernel holds as much of a reply as their way needs; it is some megabytes at most (N26).
pub const WIDE_CONNECTIONS: usize = 8;
/// Where there are more: bytes of a reply that the kernel is asked to hold at most; it takes that for half of what they
/// cost it (N26).
pub const SEND_BUFFER: usize = 128 << 10;
/// And of a request, which is read as it comes.
pub const RECEIVE_BUFFER: usize = 32 << 10;
/// Threads that read files.
pub const READERS: usize = 4;
/// How long the server rests when the system has no handle left (N27).
pub const REST: Duration = Duration::from_millis(50);
