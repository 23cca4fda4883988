/*
 * virtnvme.h: a VirtNvme queue pair, version 1, for programs in C11 on a little-endian Linux host.
 *
 * A process of the host reads and writes a volume while a slave serves it to a virtual machine; docs/virtnvme.md
 * says how it lives and dies. All of it is here: layout, constants, and a client of inline functions.
 * One thread per queue pair. Lengths in bytes unless the name says blocks or entries.
 *
 *   struct virtnvme disk;
 *   char problem[256];
 *   if (virtnvme_attach(&disk, "DIR/virtnvme/NAME", 64, 1 << 20, false, problem, sizeof problem) != 0)
 *     errx(1, "%s", problem);
 *   virtnvme_submit(&disk, VIRTNVME_READ, 0, 7, 0, 8, 0);   // request 7: blocks 0..7 to the pool's begin
 *   while (virtnvme_wait(&disk, 1000) == 0) {}              // the death of a slave is a pause
 *   struct virtnvme_result result;
 *   virtnvme_poll(&disk, &result);                          // result.id == 7, result.status: 0 or an errno
 *   virtnvme_detach(&disk);
 */
#ifndef VIRTNVME_H
#define VIRTNVME_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE before the first #include: POLLRDHUP and MSG_CMSG_CLOEXEC"
#endif

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "every field is little endian"
#endif

/* ---- Layout ------------------------------------------------------------------------------------------------- */

#define VIRTNVME_MESSAGE_MAGIC 0x50514E56u /* "VNQP" */
#define VIRTNVME_MESSAGE_VERSION 1
#define VIRTNVME_MESSAGE_ATTACH 1
#define VIRTNVME_ACCESS_READ 0
#define VIRTNVME_ACCESS_WRITE 1
#define VIRTNVME_ANSWER_MS 30000 /* as long as an attaching client waits for a slave */
#define VIRTNVME_FD_COUNT 3 /* segment, eventfd that wakes the slave, eventfd that wakes the client */

#define VIRTNVME_SEGMENT_MAGIC 0x454D564E54524956u /* "VIRTNVME" */
#define VIRTNVME_SEGMENT_KIND 4
#define VIRTNVME_SEGMENT_VERSION 1

#define VIRTNVME_PAGE 4096u
#define VIRTNVME_ENTRIES_MIN 2u
#define VIRTNVME_ENTRIES_MAX 1024u
#define VIRTNVME_POOL_MAX (64u << 20)
#define VIRTNVME_DATA_MAX (1u << 20)

enum virtnvme_opcode {
  VIRTNVME_READ = 1,
  VIRTNVME_WRITE = 2,
  VIRTNVME_FLUSH = 3,
  VIRTNVME_WRITE_ZEROES = 4,
  VIRTNVME_UNMAP = 5
};

#define VIRTNVME_FLAG_DURABLE 1 /* of a write: on stable storage before it completes */

/* What is asked, and the header of what is answered; the sentence of a refusal follows the header. */
struct virtnvme_message {
  uint32_t magic;
  uint32_t length; /* of the whole message */
  uint16_t version;
  uint16_t type;
  uint32_t status; /* of an answer: 0, or an errno */
};

struct virtnvme_attach_message {
  struct virtnvme_message header;
  uint32_t entry_count; /* of either queue; one less may be in flight */
  uint32_t access;
  uint64_t pool_length; /* multiple of VIRTNVME_PAGE */
};

struct virtnvme_segment {
  uint64_t magic;
  uint32_t kind;
  uint16_t major_version;
  uint16_t minor_version;
  uint64_t length;
  uint64_t boot_id[2];
  uint64_t instance_id;
  uint64_t generation;
  uint64_t created_ms;

  uint32_t entry_count;
  uint32_t block_bytes;
  _Atomic uint64_t block_count; /* grows with the volume */
  uint64_t pool_offset;
  uint64_t pool_length;
  uint32_t read_only;
  uint32_t spare0[7];

  _Atomic uint32_t sq_tail; /* doorbells: indices, the client's to move */
  _Atomic uint32_t cq_head;
  _Atomic uint32_t client_sleeps;
  uint32_t spare1[13];

  _Atomic uint32_t slave_sleeps;
};

struct virtnvme_request {
  uint8_t opcode;
  uint8_t flags;
  uint16_t id;
  uint32_t block_count;
  uint64_t first_block;
  uint64_t buffer; /* offset in the pool, multiple of block_bytes */
  uint8_t spare[40];
};

struct virtnvme_completion {
  uint32_t spare[2];
  uint16_t sq_head;
  uint16_t sq_id;
  _Atomic uint32_t id_phase_status; /* 16 bits, 1 bit, 15 bits; stored last */
};

#define VIRTNVME_AT(type, field, offset) \
  static_assert(offsetof(struct type, field) == (offset), #type "." #field " is at " #offset)

VIRTNVME_AT(virtnvme_attach_message, entry_count, 16);
VIRTNVME_AT(virtnvme_attach_message, pool_length, 24);
static_assert(sizeof(struct virtnvme_attach_message) == 32, "length of the attach message");
VIRTNVME_AT(virtnvme_segment, entry_count, 64);
VIRTNVME_AT(virtnvme_segment, sq_tail, 128);
VIRTNVME_AT(virtnvme_segment, slave_sleeps, 192);
VIRTNVME_AT(virtnvme_request, buffer, 16);
static_assert(sizeof(struct virtnvme_request) == 64, "length of a request");
VIRTNVME_AT(virtnvme_completion, id_phase_status, 12);
static_assert(sizeof(struct virtnvme_completion) == 16, "length of a completion");

/* Requests begin at the second page; completions and pool each at the next page boundary. */
static inline size_t virtnvme_pages(size_t length) {
  return (length + VIRTNVME_PAGE - 1) / VIRTNVME_PAGE * VIRTNVME_PAGE;
}

static inline size_t virtnvme_completions_offset(uint32_t entries) {
  return VIRTNVME_PAGE + virtnvme_pages(entries * sizeof(struct virtnvme_request));
}

static inline size_t virtnvme_pool_offset(uint32_t entries) {
  return virtnvme_completions_offset(entries) + virtnvme_pages(entries * sizeof(struct virtnvme_completion));
}

/* ---- Client ------------------------------------------------------------------------------------------------- */

struct virtnvme {
  int socket_fd; /* open as long as the queue pair is wanted */
  int kick_fd;
  int call_fd;
  struct virtnvme_segment *segment;
  size_t length;
  struct virtnvme_request *requests;
  struct virtnvme_completion *completions;
  uint8_t *pool; /* segment->pool_length bytes */
  uint32_t entries;
  uint32_t tail;
  uint32_t head;
  uint32_t phase;
  uint32_t in_flight;
};

struct virtnvme_result {
  uint16_t id;
  int status; /* 0, or an errno */
};

static inline void virtnvme_detach(struct virtnvme *q) {
  if (q->segment != NULL) munmap(q->segment, q->length);
  if (q->kick_fd >= 0) close(q->kick_fd);
  if (q->call_fd >= 0) close(q->call_fd);
  if (q->socket_fd >= 0) close(q->socket_fd);
  *q = (struct virtnvme){.socket_fd = -1, .kick_fd = -1, .call_fd = -1};
}

/* Takes the answer; the segment's descriptor is returned, or -1 with the reason in problem. */
static inline int virtnvme_receive(struct virtnvme *q, char *problem, size_t problem_length) {
  char bytes[4096];
  int fds[VIRTNVME_FD_COUNT] = {-1, -1, -1};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof fds)];
  } control;
  struct iovec iov = {bytes, sizeof bytes};
  struct msghdr message = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  struct pollfd answer = {.fd = q->socket_fd, .events = POLLIN};
  if (poll(&answer, 1, VIRTNVME_ANSWER_MS) <= 0) {
    snprintf(problem, problem_length, "no answer: is a slave running?");
    return -1;
  }
  const ssize_t length = recvmsg(q->socket_fd, &message, MSG_CMSG_CLOEXEC);
  const struct cmsghdr *rights = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (rights != NULL && rights->cmsg_type == SCM_RIGHTS && rights->cmsg_len == CMSG_LEN(sizeof fds)) {
    memcpy(fds, CMSG_DATA(rights), sizeof fds);
  }
  q->kick_fd = fds[1];
  q->call_fd = fds[2];
  struct virtnvme_message header = {0};
  memcpy(&header, bytes, length >= (ssize_t)sizeof header ? sizeof header : 0);
  if (header.magic != VIRTNVME_MESSAGE_MAGIC || header.version != VIRTNVME_MESSAGE_VERSION) {
    snprintf(problem, problem_length, "no answer in version 1: %s", length < 0 ? strerror(errno) : "hung up");
  } else if (header.status != 0) {
    snprintf(problem, problem_length, "%.*s (%s)", (int)(length - sizeof header), bytes + sizeof header,
             strerror((int)header.status));
  } else if (fds[0] < 0) {
    snprintf(problem, problem_length, "no descriptors");
  } else {
    return fds[0];
  }
  if (fds[0] >= 0) close(fds[0]);
  return -1;
}

/* Maps the segment and checks it; 0, or -1 with the reason in problem. */
static inline int virtnvme_map(struct virtnvme *q, int fd, char *problem, size_t problem_length) {
  struct stat stat;
  if (fstat(fd, &stat) != 0 || stat.st_size < (off_t)VIRTNVME_PAGE) {
    snprintf(problem, problem_length, "the segment has no length");
    return -1;
  }
  void *address = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) {
    snprintf(problem, problem_length, "cannot map the segment: %s", strerror(errno));
    return -1;
  }
  q->segment = (struct virtnvme_segment *)address;
  q->length = (size_t)stat.st_size;
  q->entries = q->segment->entry_count;
  if (q->segment->magic != VIRTNVME_SEGMENT_MAGIC || q->segment->kind != VIRTNVME_SEGMENT_KIND ||
      q->segment->major_version != VIRTNVME_SEGMENT_VERSION || q->entries < VIRTNVME_ENTRIES_MIN ||
      q->entries > VIRTNVME_ENTRIES_MAX || q->segment->block_bytes == 0 ||
      virtnvme_pool_offset(q->entries) + q->segment->pool_length != q->length) {
    snprintf(problem, problem_length, "no queue pair of version 1");
    return -1;
  }
  q->requests = (struct virtnvme_request *)((uint8_t *)address + VIRTNVME_PAGE);
  q->completions = (struct virtnvme_completion *)((uint8_t *)address + virtnvme_completions_offset(q->entries));
  q->pool = (uint8_t *)address + virtnvme_pool_offset(q->entries);
  q->phase = 1;
  return 0;
}

/* Attaches to a volume: 0, or -1 with a sentence in problem. */
static inline int virtnvme_attach(struct virtnvme *q, const char *path, uint32_t entries, uint64_t pool_length,
                                  bool write_access, char *problem, size_t problem_length) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const struct virtnvme_attach_message wish = {
      .header = {VIRTNVME_MESSAGE_MAGIC, sizeof wish, VIRTNVME_MESSAGE_VERSION, VIRTNVME_MESSAGE_ATTACH, 0},
      .entry_count = entries,
      .access = write_access ? VIRTNVME_ACCESS_WRITE : VIRTNVME_ACCESS_READ,
      .pool_length = pool_length};
  *q = (struct virtnvme){.socket_fd = -1, .kick_fd = -1, .call_fd = -1};
  if (strlen(path) >= sizeof address.sun_path) {
    snprintf(problem, problem_length, "path longer than %zu bytes", sizeof address.sun_path - 1);
    return -1;
  }
  memcpy(address.sun_path, path, strlen(path) + 1);
  q->socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (q->socket_fd < 0 || connect(q->socket_fd, (struct sockaddr *)&address, sizeof address) != 0) {
    snprintf(problem, problem_length, "cannot connect to %s: %s", path, strerror(errno));
    virtnvme_detach(q);
    return -1;
  }
  /* A master that says no may have hung up already: what it said is there nevertheless. */
  const ssize_t sent = send(q->socket_fd, &wish, sizeof wish, MSG_NOSIGNAL);
  (void)sent;
  const int fd = virtnvme_receive(q, problem, problem_length);
  const int result = fd < 0 ? -1 : virtnvme_map(q, fd, problem, problem_length);
  if (fd >= 0) close(fd);
  if (result != 0) virtnvme_detach(q);
  return result;
}

/* Behind a doorbell: full fence, then the word of who may sleep, so that one of both sees the other. */
static inline void virtnvme_wake_slave(struct virtnvme *q) {
  const uint64_t one = 1;
  atomic_thread_fence(memory_order_seq_cst);
  if (atomic_load_explicit(&q->segment->slave_sleeps, memory_order_relaxed) != 0) {
    /* Fails only when the count is at its limit, and then the slave is awake. */
    const ssize_t written = write(q->kick_fd, &one, sizeof one);
    (void)written;
  }
}

/* Submits a request; false when as many are in flight as there is room for. */
static inline bool virtnvme_submit(struct virtnvme *q, enum virtnvme_opcode opcode, uint8_t flags, uint16_t id,
                                   uint64_t first_block, uint32_t block_count, uint64_t buffer) {
  if (q->in_flight == q->entries - 1) return false;
  q->requests[q->tail] = (struct virtnvme_request){.opcode = (uint8_t)opcode,
                                                   .flags = flags,
                                                   .id = id,
                                                   .block_count = block_count,
                                                   .first_block = first_block,
                                                   .buffer = buffer};
  q->tail = q->tail + 1 == q->entries ? 0 : q->tail + 1;
  q->in_flight++;
  atomic_store_explicit(&q->segment->sq_tail, q->tail, memory_order_release);
  virtnvme_wake_slave(q);
  return true;
}

/* The completion at the head, without taking it: an entry is new when its phase tag is that of this lap. */
static inline bool virtnvme_peek(const struct virtnvme *q, uint32_t *word) {
  *word = atomic_load_explicit(&q->completions[q->head].id_phase_status, memory_order_acquire);
  return (*word >> 16 & 1) == q->phase;
}

/* Takes one completion; false when there is none. */
static inline bool virtnvme_poll(struct virtnvme *q, struct virtnvme_result *result) {
  uint32_t word;
  if (!virtnvme_peek(q, &word)) return false;
  q->head++;
  if (q->head == q->entries) {
    q->head = 0;
    q->phase ^= 1;
  }
  q->in_flight--;
  result->id = (uint16_t)word;
  result->status = (int)(word >> 17);
  atomic_store_explicit(&q->segment->cq_head, q->head, memory_order_release);
  virtnvme_wake_slave(q);
  return true;
}

/*
 * Sleeps until a completion is there, then 1. 0 when there is none yet: the time is over (-1 for no limit), or an old
 * signal was left. -1 when the pair ended the connection, so that nothing more will complete.
 */
static inline int virtnvme_wait(struct virtnvme *q, int timeout_ms) {
  struct pollfd fds[] = {{.fd = q->call_fd, .events = POLLIN}, {.fd = q->socket_fd, .events = POLLRDHUP}};
  uint32_t word;
  uint64_t count;
  if (virtnvme_peek(q, &word)) return 1;
  atomic_store_explicit(&q->segment->client_sleeps, 1, memory_order_relaxed);
  atomic_thread_fence(memory_order_seq_cst);
  const int ready = virtnvme_peek(q, &word) ? 0 : poll(fds, 2, timeout_ms);
  atomic_store_explicit(&q->segment->client_sleeps, 0, memory_order_relaxed);
  if (ready > 0 && fds[0].revents != 0) {
    /* The descriptor does not block: without a signal there is nothing to take. */
    const ssize_t taken = read(q->call_fd, &count, sizeof count);
    (void)taken;
  }
  if (virtnvme_peek(q, &word)) return 1;
  return ready > 0 && fds[1].revents != 0 ? -1 : 0;
}

#endif
