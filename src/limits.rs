//! Every bound of the system, each with its reason.
//!
//! Nothing from outside makes this program allocate, wait or loop beyond a number in this file. A bound that guards a
//! wire type is part of the protocol (`src/wire/PROTOCOL.md`): changing it changes what other implementations may send.

/// Longest frame, header excluded, in bytes: small enough to take from a stranger, large enough for the admission of a
/// full room (see the assertion at the end).
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Longest frame a client may send before it has logged in: a hello with a password fits four times over.
pub const GREETING_BYTES_MAX: usize = 1024;

/// Longest text of one message, in bytes: a screenful; longer things are files or several messages.
pub const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Longest reaction, in bytes: the longest emoji families and flags, or a short word.
pub const REACTION_BYTES_MAX: usize = 48;

/// Longest topic of a room, in bytes: two lines of a narrow terminal.
pub const TOPIC_BYTES_MAX: usize = 240;

/// Longest reason for being away, in bytes.
pub const AWAY_BYTES_MAX: usize = 160;

/// Longest name of a person or a room, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 64;

/// Widest name of a person, in terminal columns, so that a name never pushes the text off a narrow screen.
pub const NAME_COLUMNS_MAX: usize = 20;

/// Widest name of a room, in terminal columns.
pub const ROOM_NAME_COLUMNS_MAX: usize = 32;

/// Most members a room may have: an admission (the roster and one signature each) must fit one frame.
#[cfg(not(feature = "thousand"))]
pub const ROOM_SIZE_MAX: u16 = 256;

/// For measuring rooms of a thousand, which are there from the start: nobody could be admitted to one.
#[cfg(feature = "thousand")]
pub const ROOM_SIZE_MAX: u16 = 1_024;

/// Most members with whom every pair keeps a link; in a larger room each has some eight neighbours (DESIGN.md §5): 63 links
/// cost two keep-alives a second and hold some 2 MiB.
pub const MESH_MEMBERS_MAX: usize = 64;

/// Links that a member of a large room keeps as a favour to others who can't link with their own neighbours: twice as many as
/// its own.
pub const GUEST_LINKS_MAX: usize = 16;

/// Statements of links that are kept of keys that have no seat yet by this member's roster: those of the seconds between two
/// members' adoptions.
pub const LINK_STATES_EARLY_MAX: usize = 64;

/// Members a room may have unless its creator says otherwise: up to here every pair keeps a link (DESIGN.md §5).
pub const ROOM_SIZE_DEFAULT: u16 = 64;

/// Fewest members a size limit may allow: a room for one has nobody to talk to.
pub const ROOM_SIZE_MIN: u16 = 2;

/// Seconds members have to answer a knock, by default: long enough to read eight words, short enough to wait for.
pub const CONSENT_TIMEOUT_S_DEFAULT: u16 = 60;

/// Longest consent timeout, in seconds: an hour, because one open knock keeps the next one waiting.
pub const CONSENT_TIMEOUT_S_MAX: u16 = 3_600;

/// Shortest consent timeout, in seconds.
pub const CONSENT_TIMEOUT_S_MIN: u16 = 1;

/// Seconds an unreachable member keeps their seat, by default: a train tunnel, a reboot.
pub const GRACE_S_DEFAULT: u16 = 120;

/// Longest grace, in seconds: a day, since an absent member blocks every knock.
pub const GRACE_S_MAX: u32 = 86_400;

/// Shortest grace, in seconds.
pub const GRACE_S_MIN: u16 = 1;

/// Entries that one signature may vouch for: measured, a run of 64 brings a delivery from 46 to 4 microseconds
/// (DESIGN.md §5).
pub const RUN_ENTRIES_MAX: usize = 64;

/// Bytes of entries in one run: leaves room for the frame around it.
pub const RUN_BYTES_MAX: usize = 48 * 1024;

/// Highest number of an entry in its author's log: exact in SQLite and in JSON, and 285 years of a million a second away.
pub const SEQ_MAX: u64 = 1 << 53;

/// Greatest depth of an entry that is taken from its author's word: more than a room ever has entries, and as far again from what is
/// exact in SQLite and in JSON, so that what names it, and what names that, has a depth too.
pub const DEPTH_STATED_MAX: u64 = 1 << 52;

/// Highest number of a roster in its room's chain: exact in SQLite and in JSON. Newcomers take the roster they knocked at
/// with its number on trust, so a liar could begin anywhere.
pub const EPOCH_MAX: u64 = 1 << 53;

/// Heads of other authors that an entry names as seen: the newest few carry the order, the rest follow from them.
pub const SEEN_HEADS_MAX: usize = 8;

/// Addresses one member may offer for itself; nobody can make us scan a network (THREATS.md row 16).
pub const CANDIDATES_MAX: usize = 8;

/// Addresses of a member that others tell of, beside those it tells of itself.
pub const HEARSAY_ADDRESSES_MAX: usize = 4;

/// Times per minute that a server follows a client's connection to another address (THREATS.md row 32): a walk from one
/// network to the next has one or two.
pub const MOVES_PER_MINUTE_MAX: usize = 4;

/// Times per minute that the server's news of a peer makes us dial that peer before it is time (THREATS.md row 16): a
/// member that is started again and again in a changing room has some.
pub const HURRIES_PER_MINUTE_MAX: usize = 12;

/// Knocks that may wait behind the open one, per room (THREATS.md row 8).
pub const KNOCKS_WAITING_MAX: usize = 8;

/// Proposals a member keeps open over one roster; a liar that floods more is ignored.
pub const PROPOSALS_OPEN_MAX: usize = 32;

/// Answered proposals over one roster that a member remembers by their hashes alone: 2 MiB of them, months of refused
/// knocks; after that it takes no more until the roster changes.
pub const PROPOSALS_FORGOTTEN_MAX: usize = 65_536;

/// Drops of one signer over one roster that are refused, each at the cost of a signature and a message to everybody: whoever
/// signs more has no use for an answer.
pub const REFUSALS_PER_SIGNER_MAX: u32 = 256;

/// Rosters that a member has moved on from and still signs noes over, for those who are left behind.
pub const PASSED_ROSTERS_MAX: usize = 16;

/// Prompts that a member is shown per room and minute, those that led to an admission excepted (THREATS.md row 9).
pub const PROMPTS_PER_MINUTE_MAX: usize = 3;

/// Broken rules that a client tells its user of per minute.
pub const BLAMES_PER_MINUTE_MAX: usize = 20;

/// Noes after which a key is not shown again for [`MUTE_S`] seconds (THREATS.md row 9).
pub const DENIALS_BEFORE_MUTE: u32 = 2;

/// Keys in one room whose knocks are answered without asking: the largest room four times over.
pub const RULES_MAX: usize = 1024;

/// Seconds a key stays muted after [`DENIALS_BEFORE_MUTE`] denials: a day.
pub const MUTE_S: u64 = 86_400;

/// Steps of a room's roster chain that the server and the members keep for those who were away.
pub const STEPS_KEPT_MAX: usize = 256;

/// Partings that a server remembers per room, to tell which half of a split hosts it.
pub const PARTINGS_KEPT_MAX: usize = 8;

/// Steps that somebody we parted with is told when we meet again, from the roster on in which they had their seat: a split
/// that has lasted longer is told as far as that.
pub const STEPS_TOLD_APART_MAX: usize = 16;

/// And how many bytes of them, encoded: as much as one frame has, beside the step by which they lost their seat.
pub const STEPS_TOLD_APART_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// Clients whose ways to rosters unknown to a server it remembers per room: a room falls into few parts.
pub const WAYS_SHOWN_MAX: usize = 8;

/// Bytes of such a way, its rosters and its steps: five steps of a full room, all of a small one's.
pub const WAY_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;

/// Rosters of other halves that a member keeps, to know where the next step leads: those of two halves.
pub const BRANCH_ROSTERS_MAX: usize = 2 * STEPS_TOLD_APART_MAX;

/// Rooms in one answer to `list`.
pub const ROOMS_LISTED_MAX: usize = 256;

/// People in one answer to `list`.
pub const PEOPLE_LISTED_MAX: usize = 256;

/// Rooms one client may be in at a time.
pub const ROOMS_PER_CLIENT_MAX: usize = 32;

/// Rooms one server keeps, unless configured lower: 16 MiB at 1 KiB each when small.
pub const ROOMS_PER_SERVER_MAX: usize = 16_384;

/// Rooms one key may have created at a server at a time, so that nobody takes all the names.
pub const ROOMS_PER_CREATOR_MAX: usize = 64;

/// Names one server keeps: at some 200 bytes each they fit in memory twice over, and a flood of new keys ends here.
pub const NAMES_PER_SERVER_MAX: usize = 262_144;

/// Seconds without any connected member after which a server forgets a room, by default: a server's restart and everybody's
/// reconnecting take far less, and a name that nobody uses should be free again the same evening.
pub const EMPTY_ROOM_TTL_S_DEFAULT: u64 = 120;

/// Bytes of steps that a server keeps per room: sixteen admissions to a full room, hundreds to a small one.
pub const STEPS_BYTES_KEPT_MAX: usize = 256 * 1024;

/// Knocks per key and minute that a server takes: enough for a person who is refused and asks again, few enough that no
/// program keeps a room busy (THREATS.md row 9).
pub const KNOCKS_PER_MINUTE_MAX: usize = 6;

/// Milliseconds after a knock's deadline in which a server still waits for the members' last answers to arrive.
pub const KNOCK_SLACK_MS: u64 = 5_000;

/// Different answers of one member to one proposal that a server passes on, beside a yes that comes late: two already show that the member
/// says different things (THREATS.md row 11).
pub const ANSWERS_KEPT_MAX: usize = 2;

/// Bytes that wait for one link before the core stops feeding it; then the frontier feeds it (DESIGN.md §6).
pub const LINK_QUEUE_BYTES_MAX: usize = 512 * 1024;

/// Entries of an author that are kept in memory for pushing on; older ones are fetched from the store.
pub const RECENT_ENTRIES_MAX: usize = 4_096;

/// Bytes of them of our own: some more than may be on their way on a link ([`LINK_QUEUE_BYTES_MAX`]), so that a busy author's disk is
/// not read for what was only just written.
pub const RECENT_BYTES_MAX: usize = 1024 * 1024;

/// And of each other author: these go to few, if to anybody, and in a room of 32 there are 31 times as many of them.
pub const RECENT_OTHERS_BYTES_MAX: usize = 128 * 1024;

/// Bytes of our own that may wait for others to take what was said before, until the next text waits for them: far enough below
/// [`RECENT_BYTES_MAX`] that what is said in one go fits between, and nobody has to be given out of the store what was only just said.
pub const AHEAD_BYTES_MAX: usize = RECENT_BYTES_MAX / 4;

/// Milliseconds for which a text waits so, at most: nobody who is slow, or says so, keeps a member from talking to the others.
pub const AHEAD_WAIT_MS: u64 = 250;

/// Entries whose places in the transcript are kept in memory, per room, at some 150 bytes each; older ones are looked up in
/// the store.
pub const PLACES_KEPT_MAX: usize = 16_384;

/// Bytes of one author's entries that wait for entries they name: some runs. A liar that names what does not exist fills
/// only its own share; what doesn't fit is not acknowledged, and comes again. Nobody is given more of an author than fits, as long as
/// nothing of it is acknowledged; with as much as a link takes ([`LINK_QUEUE_BYTES_MAX`]) that holds no busy author up.
pub const HELD_BYTES_MAX: usize = 512 * 1024;

/// Entries on another branch that are kept of an author who signed two under one number: the proof, and what the author
/// said before it was found out.
pub const FORKED_ENTRIES_MAX: usize = 256;

/// Bytes of them.
pub const FORKED_BYTES_MAX: usize = 256 * 1024;

/// Branches of one author whose ends an entry may name as seen, or that are shown to a member on a new link.
pub const FORK_ENDS_MAX: usize = 4;

/// Entries of a room of which a client keeps in memory what was said about them (edits, reactions), at up to 4 KiB each;
/// of older ones the store knows.
pub const MARKED_ENTRIES_MAX: usize = 1_024;

/// Edits and reactions about one entry up to which a reader looks through all of them: of more, those are left out of the index that
/// the same author has replaced. What a busy room says of a text, far below what takes a noticeable time to read.
pub const MARKS_READ_MAX: usize = 256;

/// Texts of which a search keeps in memory how they are shown, at up to 4 KiB and the signs each.
pub const SHOWN_AT_HAND_MAX: usize = 1_024;

/// Entries about the room itself (topics, absences) that are read again of each room at the start: the newest say it all,
/// unless somebody is away longer than these last.
pub const STANDING_RECALLED_MAX: usize = 256;

/// Different signs of one author under one entry: nobody has more to say by signs.
pub const SIGNS_PER_AUTHOR_MAX: usize = 8;

/// Keys that a client remembers having met: the people of a lifetime, at some 200 bytes each. Verified and ignored ones stay
/// when there are more.
pub const ACQUAINTANCES_MAX: usize = 4_096;

/// Names remembered of one key.
pub const NAMES_PER_KEY_MAX: usize = 4;

/// Private messages that wait for one reader; what is said beyond is refused, so that it isn't lost in silence.
pub const PRIVATE_WAITING_MAX: usize = 256;

/// Private messages sent to one reader and not yet acknowledged.
pub const PRIVATE_WINDOW: usize = 16;

/// First and longest time before private messages without an answer are sent again, in milliseconds; doubled each time.
pub const PRIVATE_AGAIN_MS: (u64, u64) = (3_000, 60_000);

/// Bytes of sealed private messages that a member carries for one other per second, with a burst of eight times that: a
/// conversation, never a flood that would crowd out what the room says (THREATS.md row 31).
pub const CARRIED_BYTES_PER_S: u64 = 16 * 1024;

/// Pairs of an author and a reader for whom a member remembers what it carried lately: each of 32 to each. What is beyond waits
/// eight seconds at most, until one of them has been idle.
pub const CARRIED_PAIRS_MAX: usize = 1_024;

/// Conversations begun anew by one author that a reader remembers: an author begins another only after losing its history.
pub const SERIES_PER_AUTHOR_MAX: usize = 4;

/// Times that the audience changes, or something is missing, in one author's log, as far as is remembered: more than a room has rosters in
/// years. Half of them are forgotten beyond it, the oldest.
pub const SPANS_MAX: usize = 4_096;

/// Holes of one author's log that are remembered by their last entry, to be asked about once somebody may have what is in them; the newest.
pub const HOLES_PER_AUTHOR_MAX: usize = 64;

/// Holes asked about in one message: each is answered by a run at most.
pub const HOLES_ASKED_MAX: usize = 8;

/// Bytes of what came late that are given on within a second, to all members together: it is nobody's window, so it must not fill a link
/// ([`LINK_QUEUE_BYTES_MAX`]). What is beyond it is asked for by whoever lacks it.
pub const LATE_BYTES_PER_SECOND_MAX: usize = 256 * 1024;

/// Steps from unknown rosters that a server passes on to the members of one room in 25 seconds: the ways of two halves.
pub const WAY_STEPS_PASSED_MAX: usize = 2 * STEPS_TOLD_APART_MAX;

/// Ids remembered of entries that nobody waits for any more, and of those that the store does not have: forgotten all at
/// once beyond it, and found out anew.
pub const IDS_REMEMBERED_MAX: usize = 4_096;

/// Texts that wait in the first seconds in a room, until it is sure which numbers they may have.
pub const TEXTS_WAITING_MAX: usize = 2_048;

/// Rosters from before its chain that a member keeps: to know whom the entries of its earlier seats are for.
pub const PAST_ROSTERS_MAX: usize = 256;

/// Entries asked for by id in one message: one entry names no more parents than these.
pub const WANTED_MAX: usize = 8;

/// Entries by id that are looked up for one member at a time.
pub const SOUGHT_MAX: usize = 64;

/// Seconds a stranger's link may stay unanswered: the admission that names it may still be on its way.
pub const STRANGER_WAIT_S: u64 = 5;

/// Strangers' links that may wait at a time.
pub const STRANGERS_MAX: usize = 8;

/// Seconds a connection has for its hello (THREATS.md row 3).
pub const HELLO_WITHIN_S: u64 = 5;

/// Handshakes per second and address (IPv4 /32, IPv6 /64) that a server answers (THREATS.md row 2).
pub const HANDSHAKES_PER_S: u32 = 16;

/// Connections per address that a server keeps (THREATS.md, suggested limits).
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;

/// Messages per second that one client may send a server on average; the burst is ten times that.
pub const CLIENT_MESSAGES_PER_S: u32 = 64;

/// Seconds between the keep-alives of two linked members: a third of [`PEER_IDLE_S`], so that two may be lost.
pub const PEER_KEEP_ALIVE_S: u64 = 4;

/// Seconds of silence after which a link between members is dead: short, since people look at who is there.
pub const PEER_IDLE_S: u64 = 12;

/// Bytes a member may send ahead on one stream: ten frames and more, enough for 80 Mbit/s at 100 ms.
pub const PEER_STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// Bytes a member may send ahead on one link.
pub const PEER_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Bytes sent to a member and not yet acknowledged, kept for sending again.
pub const PEER_SEND_WINDOW_BYTES: u64 = 1024 * 1024;

/// Seconds between a client's keep-alives to its server: below the 30 s that many NATs keep a UDP mapping, and little more
/// than between members, since the next one notices a server that was started anew.
pub const SERVER_KEEP_ALIVE_S: u64 = 5;

/// Seconds of silence after which a client and its server give each other up: two keep-alives may be lost.
pub const SERVER_IDLE_S: u64 = 30;

/// Bytes a stranger may make the server hold on one stream: one frame (THREATS.md row 3).
pub const SERVER_STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// Bytes a stranger may make the server hold on one connection (THREATS.md row 3).
pub const SERVER_WINDOW_BYTES: u32 = 256 * 1024;

/// Streams of each kind that the other side may open: one is used, the rest is room to grow (THREATS.md row 3).
pub const STREAMS_MAX: u32 = 4;

/// Round trip assumed before one is measured, in milliseconds, between peers: a lost first packet costs three times this
/// instead of a whole second. Less is not better: each timer that fires for nothing doubles the next, and QUIC keeps the doubled ones until
/// the other side has shown that it has the last of the handshake (20 here: 95 of 100 dials of a symmetric router within 0.99 s, 40:
/// within 0.69 s, both before packets were sent twice).
pub const PEER_INITIAL_RTT_MS: u64 = 40;

/// Small packets to one address per dial that open the own router (THREATS.md row 16).
pub const PROBES_MAX: usize = 3;

/// Packets to one host per dial that are sent twice, in case one is lost: those of a handshake and the first words, and as many again
/// since the other side dials at the same moment (THREATS.md row 16).
pub const COPIES_MAX: usize = 16;

/// Hops that the first of them goes: through the own router and on to the next one, never as far as the other side's.
pub const PROBE_HOPS: i32 = 2;

/// Milliseconds that a handshake with somebody behind a router waits for their packets, or, across two, behind that first one: more than the two sides differ in when
/// they hear of each other from the server, less than anybody notices.
pub const PUNCH_HOLD_MS: u64 = 20;

/// Seconds for which a router is asked to let others in: asked again at half of it, and forgotten soon after a crash.
pub const MAPPING_LEASE_S: u64 = 3_600;

/// Seconds after which a router that didn't is asked again.
pub const MAPPING_ASK_AGAIN_S: u64 = 600;

/// Seconds that a router has for one answer of several messages.
pub const MAPPING_WITHIN_S: u64 = 3;

/// Seconds that dialling a peer, and any handshake we answer, may take.
pub const HANDSHAKE_WITHIN_S: u64 = 5;

/// Seconds that dialling a server may take, the name lookup included: a lost first packet costs one of them.
pub const SERVER_DIAL_WITHIN_S: u64 = 10;

/// Milliseconds between two addresses of one server that are tried: one that never answers delays the next no more than
/// that.
pub const SERVER_DIAL_STAGGER_MS: u64 = 100;

/// Handshakes that a peer answers at a time; a quarter of it by addresses that proved nothing yet (THREATS.md row 1).
pub const PEER_HANDSHAKES_AT_ONCE_MAX: usize = 32;

/// Links that may wait for the driver to take them.
pub const LINKS_WAITING_MAX: usize = 32;

/// Handshakes that a server answers at a time; a quarter of it by addresses that proved nothing yet.
pub const SERVER_HANDSHAKES_AT_ONCE_MAX: usize = 256;

/// Handshakes per second from addresses that proved nothing, before each has to prove its own by a Retry.
pub const UNPROVEN_HANDSHAKES_PER_S: u32 = 100;

/// Connections one server keeps, unless configured otherwise: about 0.4 GB (`anchors/baselines.md`).
pub const CONNECTIONS_MAX: usize = 10_000;

/// Bytes of a first flight that are held until its handshake is answered: two datagrams and some to spare.
pub const INCOMING_BYTES_MAX: u64 = 16 * 1024;

/// Seconds from the first byte of a frame to its last: 64 KiB at 52 kbit/s (THREATS.md row 3).
pub const FRAME_WITHIN_S: u64 = 10;

/// Bytes taken from a stream at a time beyond what the frame in progress needs.
pub const READ_BYTES_MAX: usize = 16 * 1024;

/// Bytes that a frame buffer keeps while nothing is in it, so that an idle link costs little.
pub const IDLE_BUFFER_BYTES_MAX: usize = 4 * 1024;

/// Seconds that the last bytes may take to leave when a link is closed in an orderly way.
pub const FINISH_WITHIN_S: u64 = 2;

/// Inputs that may wait for the rendezvous; sessions wait beyond it, and flow control makes their clients wait.
pub const HUB_INPUTS_WAITING_MAX: usize = 1024;

/// Inputs whose changes are kept in one transaction: enough to hide a disk's flush, few enough to answer soon.
pub const HUB_INPUTS_AT_ONCE_MAX: usize = 256;

/// Seconds between two attempts to write to a database that refuses.
pub const STORE_RETRY_S: u64 = 1;

/// Minutes that a clock may be off before a knock's expiry is believed over the own clock (THREATS.md row 22).
pub const CLOCK_SLACK_S: u64 = 300;

/// Bytes of UTF-8 in a reason that a person reads.
pub const REASON_BYTES_MAX: usize = 256;

/// Bytes of a server's password.
pub const PASSWORD_BYTES_MAX: usize = 128;

/// Longest line of the JSON face's input, in bytes: a full text of which every byte is escaped fits twice over.
pub const JSON_LINE_BYTES_MAX: usize = 64 * 1024;

/// Lines that may wait for the screen; then the face waits.
pub const SCREEN_LINES_WAITING_MAX: usize = 64;

/// Lines of a room that the full-screen face holds; what is older is read from the history again. A hundred thousand rows are
/// more than anybody scrolls.
pub const SCROLLBACK_LINES_MAX: usize = 100_000;

/// Bytes of a room that the full-screen face holds, so that long texts don't make the lines above cost half a gigabyte.
pub const SCROLLBACK_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Earlier texts that the full-screen face reads at a time: a few screens, which a disk has in milliseconds.
pub const SCROLLBACK_PAGE: usize = 100;

/// Tabs of the full-screen face: rooms and private chats. Their scrollbacks are the largest part of its memory.
pub const TABS_MAX: usize = 24;

/// Bytes that may be typed or pasted before they are sent: some texts' worth, so that too long a paste can be shortened.
pub const DRAFT_BYTES_MAX: usize = 16 * 1024;

/// Entered lines of a room that the full-screen face brings back with the arrow keys.
pub const TYPED_LINES_REMEMBERED_MAX: usize = 200;

/// Rooms whose last read text is remembered over a restart.
pub const READ_MARKS_MAX: usize = 256;

/// Code points that one character on screen may be made of: the longest emoji families have ten.
pub const CLUSTER_CHARS_MAX: usize = 12;

/// Texts of the history that are shown at a time: some twenty screens, and 2 MiB when each is as long as it may be.
pub const HISTORY_SHOWN_MAX: usize = 500;

/// Texts of the history that are shown on coming in, and for `/last` and searches that don't say how many: a screen.
pub const HISTORY_SHOWN_DEFAULT: usize = 20;

/// Entries that are forgotten in one transaction: a few milliseconds, in which nothing else is written.
pub const FORGOTTEN_AT_ONCE_MAX: usize = 256;

/// Milliseconds between two such transactions, so that the chat goes on between them.
pub const FORGETTING_PAUSE_MS: u64 = 100;

/// Seconds between two looks for what is to be forgotten: an hour.
pub const FORGETTING_EVERY_S: u64 = 3_600;

/// Bytes of disk that are left free: below, nothing more of others is taken (THREATS.md row 21).
pub const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of disk below which our own texts are refused too: enough for the journal, and for getting out in an orderly way.
pub const OWN_RESERVE_BYTES: u64 = RESERVE_BYTES / 4;

/// Megabytes of disk that one room may take, unless configured otherwise: some four million lines.
pub const QUOTA_ROOM_MB_DEFAULT: u32 = 2_000;

/// Megabytes of disk that one author may take in a room, unless configured otherwise: a quarter of it.
pub const QUOTA_AUTHOR_MB_DEFAULT: u32 = 500;

/// Bytes of messages from other members that wait for the loop: beyond it links are read no further, and QUIC makes the senders
/// wait. Some hundred full runs.
pub const ARRIVALS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes on their way to all members of a room together, before those that have confirmed nothing get no more: each link has its
/// share, and [`LINK_QUEUE_BYTES_MAX`] at most.
pub const FEEDS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Entries that are brought into the history's indexes in one transaction: some forty milliseconds, in which nothing else is done.
/// Entries that come together share the pages that they change.
pub const INDEXED_AT_ONCE_MAX: usize = 4_096;

/// Entries that the history's indexes may lack: a second's work for whoever wants to read then, and two megabytes of ids in
/// memory. Beyond it they are brought in however busy the chat is.
pub const UNINDEXED_MAX: usize = 131_072;

/// Entries from which on a short pause is used to bring them into the indexes: many at once cost less than each by itself.
pub const UNINDEXED_WORTH_A_PAUSE: usize = 1_024;

/// Bytes of what is looked for in the history: longer than anybody types, and quick to find.
pub const SEARCH_BYTES_MAX: usize = 1024;

/// Words and phrases of what is looked for in the history; each costs a walk through the index.
pub const SEARCH_WORDS_MAX: usize = 32;

/// Columns of a sentence from outside (a server's reason, a system's error) on screen.
pub const REASON_COLUMNS_MAX: usize = 300;

/// Newcomers' prompts that a face remembers; the oldest goes first.
pub const PROMPTS_REMEMBERED_MAX: usize = 64;

/// Messages that a face remembers to have shown, so that people can name them: some pages back.
pub const MESSAGES_REMEMBERED_MAX: usize = 1024;

/// Keys whose names a face remembers to tell look-alikes apart: the largest room four times over.
pub const NAMES_REMEMBERED_MAX: usize = 1024;

/// Bytes of the peer's log file before it is put aside at the next start.
pub const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Bytes of a membership history that are read from a file: a thousand changes of a full room, hundreds of thousands of a
/// small one.
pub const MEMBERSHIP_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Milliseconds by which two clocks may differ before it is worth a word: five minutes (THREATS.md row 22).
pub const CLOCK_OFF_SHOWN_MS: u64 = 5 * 60 * 1000;

/// Seconds that `doctor` gives the router to grant a port by any of three protocols, one after the other.
pub const SURVEY_MAPPING_WITHIN_S: u64 = 8;

/// Milliseconds that `doctor` waits for QUIC's own search for the largest payload: some ten round trips of a slow path.
pub const SURVEY_MTU_WITHIN_MS: u64 = 2_000;

/// Seconds that a stopped program waits for its last messages to be delivered.
pub const QUIT_WITHIN_S: u64 = 10;

/// Addresses of one member in a ticket: what fits a QR code that a telephone reads off a terminal.
pub const TICKET_ADDRESSES_MAX: usize = 4;

/// Members in one ticket that is read, or several taken as one.
pub const TICKET_HOSTS_MAX: usize = 4;

/// Members in a ticket that is written: whoever writes it and two more, since whoever is named alone may be gone when it is used. With
/// more the code would no longer fit a terminal of 80 columns by 40 rows.
pub const TICKET_WRITTEN_HOSTS_MAX: usize = 3;

/// Addresses of each of those two: one from far away, one from nearby.
pub const TICKET_OTHERS_ADDRESSES_MAX: usize = 2;

/// Longest ticket that is read, in characters: several times the longest that is written.
pub const TICKET_CHARS_MAX: usize = 2_048;

/// Bytes of a server's address in a ticket: a domain name and a port.
pub const SERVER_ADDRESS_BYTES_MAX: usize = 261;

/// Newcomers' connections that one member holds: four times what may wait at a room.
pub const GUESTS_MAX: usize = 32;

/// Milliseconds for which a guest may sit there without a knock: long enough to answer a prompt of its own program.
pub const GUEST_IDLE_MS: u64 = 120_000;

/// Newcomers' connections that one member holds from one address: a workshop behind one router comes in turns.
pub const GUESTS_PER_ADDRESS_MAX: usize = 16;

/// Rooms that one newcomer may knock at through one member at a time.
pub const GUEST_KNOCKS_MAX: usize = 4;

/// Addresses under which members see us that we offer to others: one for each side of the nearest router, and a spare.
pub const OBSERVED_ADDRESSES_MAX: usize = 2;

/// Seconds between a newcomer's keep-alives to the member that it knocks at: a third of [`HOST_IDLE_S`].
pub const HOST_KEEP_ALIVE_S: u64 = 2;

/// Seconds of silence after which a newcomer looks for another member to knock at: somebody is watching the screen.
pub const HOST_IDLE_S: u64 = 6;

/// Hosts of one room's name that are found on the local network.
pub const LAN_FOUND_MAX: usize = 8;

/// Milliseconds for which the local network is asked for a room; the first answer ends it. An announcement that has only just begun
/// takes some seconds to be heard.
pub const LAN_SEARCH_MS: u64 = 10_000;

/// Seconds that a ticket's server has to answer before its members are tried.
pub const TICKET_SERVER_WITHIN_S: u64 = 3;

/// Addresses of hosts that are tried at the same time.
pub const HOST_DIALS_MAX: usize = 32;

/// Seconds for which nobody that a ticket names answers before its user is told.
pub const HOSTS_SILENT_S: u64 = 10;

// The admission of a full room: per member a key, a name with its length and a signature; around it genesis and knock.
#[cfg(not(feature = "thousand"))]
const _: () = assert!(ROOM_SIZE_MAX as usize * (32 + 1 + NAME_BYTES_MAX + 64) + 2048 <= FRAME_BYTES_MAX);
const _: () = assert!(RUN_BYTES_MAX + 1024 <= FRAME_BYTES_MAX);
