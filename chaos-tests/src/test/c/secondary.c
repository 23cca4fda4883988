/*
 * A secondary in C: tries docs/virtnvme.h for SecondaryInCTest.
 *
 *   secondary layout                   offset, length and name of every field
 *   secondary verify SOCKET BLOCKS     writes blocks that carry number and version and reads them back, until
 *                                      standard input ends; polls and sleeps in turns
 *   secondary attach SOCKET ACCESS     says why it was refused
 */
#define _GNU_SOURCE
#include "virtnvme.h"

#include <inttypes.h>
#include <stdlib.h>

#define BLOCK_BYTES 4096u
#define WORDS (BLOCK_BYTES / sizeof(uint64_t))
#define DEPTH 32u
#define TURN 1000u /* requests until polling and sleeping change over */
#define WAIT_MS 20000

static void fail(const char *problem) {
  fprintf(stderr, "%s\n", problem);
  exit(1);
}

#define FIELD(type, field, name) \
  printf("%6zu %3zu  %s\n", offsetof(struct type, field), sizeof(((struct type *)0)->field), name)

static void print_layout(void) {
  puts("segment header");
  FIELD(virtnvme_segment, magic, "magic");
  FIELD(virtnvme_segment, kind, "kind");
  FIELD(virtnvme_segment, major_version, "major_version");
  FIELD(virtnvme_segment, minor_version, "minor_version");
  FIELD(virtnvme_segment, length, "length");
  FIELD(virtnvme_segment, boot_id, "boot_id");
  FIELD(virtnvme_segment, instance_id, "instance_id");
  FIELD(virtnvme_segment, generation, "generation");
  FIELD(virtnvme_segment, created_ms, "created_ms");
  printf("%6zu      end\n", offsetof(struct virtnvme_segment, entry_count));

  puts("VirtNvme queue pair segment, version 1");
  FIELD(virtnvme_segment, entry_count, "entry_count");
  FIELD(virtnvme_segment, block_bytes, "block_bytes");
  FIELD(virtnvme_segment, block_count, "block_count");
  FIELD(virtnvme_segment, pool_offset, "pool_offset");
  FIELD(virtnvme_segment, pool_length, "pool_length");
  FIELD(virtnvme_segment, read_only, "read_only");
  FIELD(virtnvme_segment, sq_tail, "sq_tail");
  FIELD(virtnvme_segment, cq_head, "cq_head");
  FIELD(virtnvme_segment, client_sleeps, "client_sleeps");
  FIELD(virtnvme_segment, slave_sleeps, "slave_sleeps");
  printf("%6u      end\n", VIRTNVME_PAGE);

  puts("VirtNvme request");
  FIELD(virtnvme_request, opcode, "opcode");
  FIELD(virtnvme_request, flags, "flags");
  FIELD(virtnvme_request, id, "id");
  FIELD(virtnvme_request, block_count, "block_count");
  FIELD(virtnvme_request, first_block, "first_block");
  FIELD(virtnvme_request, buffer, "buffer");
  FIELD(virtnvme_request, spare, "spare");
  printf("%6zu      end\n", sizeof(struct virtnvme_request));

  puts("VirtNvme attach message, version 1");
  FIELD(virtnvme_message, magic, "magic");
  FIELD(virtnvme_message, length, "length");
  FIELD(virtnvme_message, version, "version");
  FIELD(virtnvme_message, type, "type");
  FIELD(virtnvme_message, status, "status");
  FIELD(virtnvme_attach_message, entry_count, "entry_count");
  FIELD(virtnvme_attach_message, access, "access");
  FIELD(virtnvme_attach_message, pool_length, "pool_length");
  printf("%6zu      end\n", sizeof(struct virtnvme_attach_message));

  puts("completion");
  FIELD(virtnvme_completion, spare, "spare");
  FIELD(virtnvme_completion, sq_head, "sq_head");
  FIELD(virtnvme_completion, sq_id, "sq_id");
  FIELD(virtnvme_completion, id_phase_status, "id_phase_status");
  printf("%6zu      end\n", sizeof(struct virtnvme_completion));

  puts("constants");
  printf("opcodes %d %d %d %d %d, durable %d\n", VIRTNVME_READ, VIRTNVME_WRITE, VIRTNVME_FLUSH, VIRTNVME_WRITE_ZEROES,
         VIRTNVME_UNMAP, VIRTNVME_FLAG_DURABLE);
  printf("limits %u %u %u %u\n", VIRTNVME_ENTRIES_MIN, VIRTNVME_ENTRIES_MAX, VIRTNVME_POOL_MAX, VIRTNVME_DATA_MAX);
  printf("message %u %d %d %d %d %d\n", VIRTNVME_MESSAGE_MAGIC, VIRTNVME_MESSAGE_VERSION, VIRTNVME_MESSAGE_ATTACH,
         VIRTNVME_ACCESS_READ, VIRTNVME_ACCESS_WRITE, VIRTNVME_FD_COUNT);
  printf("segment %" PRIu64 " %d %d\n", (uint64_t)VIRTNVME_SEGMENT_MAGIC, VIRTNVME_SEGMENT_KIND,
         VIRTNVME_SEGMENT_VERSION);
  puts("places");
  for (uint32_t entries = VIRTNVME_ENTRIES_MIN; entries <= VIRTNVME_ENTRIES_MAX; entries *= 2) {
    printf("%u %zu %zu\n", entries, virtnvme_completions_offset(entries), virtnvme_pool_offset(entries));
  }
}

/* The load: each slot has one block at a time, written when what it holds is known, read when it was written. */
struct load {
  struct virtnvme disk;
  uint32_t blocks;
  uint32_t *versions;
  bool *busy;
  uint32_t block_of[DEPTH];
  bool writes[DEPTH];
  bool in_flight[DEPTH];
  uint64_t random;
  uint64_t ended;
  uint64_t polled;
  uint64_t slept;
};

static uint64_t stamp(uint32_t block, uint32_t version, size_t word) {
  return version == 0 ? 0 : (uint64_t)block << 40 ^ (uint64_t)version << 12 ^ word;
}

static uint64_t *buffer_of(struct load *load, uint32_t slot) {
  return (uint64_t *)(void *)(load->disk.pool + (size_t)slot * BLOCK_BYTES);
}

static uint32_t next_random(struct load *load, uint32_t bound) {
  load->random = load->random * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((load->random >> 33) % bound);
}

static void begin(struct load *load, uint32_t slot) {
  const uint32_t block = next_random(load, load->blocks);
  if (load->busy[block]) return;
  const bool writes = next_random(load, 2) == 1;
  uint64_t *buffer = buffer_of(load, slot);
  for (size_t word = 0; word < WORDS; word++) {
    buffer[word] = writes ? stamp(block, load->versions[block] + 1, word) : UINT64_MAX;
  }
  load->busy[block] = true;
  load->in_flight[slot] = true;
  load->block_of[slot] = block;
  load->writes[slot] = writes;
  if (!virtnvme_submit(&load->disk, writes ? VIRTNVME_WRITE : VIRTNVME_READ, 0, (uint16_t)slot, block, 1,
                       (uint64_t)slot * BLOCK_BYTES)) {
    fail("no room in the queue");
  }
}

static void end(struct load *load, const struct virtnvme_result *result) {
  const uint32_t slot = result->id;
  if (result->status != 0) fail(strerror(result->status));
  if (slot >= DEPTH || !load->in_flight[slot]) fail("a completion of nothing, or a second one");
  const uint32_t block = load->block_of[slot];
  if (load->writes[slot]) {
    load->versions[block]++;
  } else {
    for (size_t word = 0; word < WORDS; word++) {
      if (buffer_of(load, slot)[word] != stamp(block, load->versions[block], word)) fail("wrong data");
    }
  }
  load->busy[block] = false;
  load->in_flight[slot] = false;
  load->ended++;
}

static void run(struct load *load, bool sleeps) {
  struct virtnvme_result result;
  const uint64_t until = load->ended + TURN;
  while (load->ended < until) {
    for (uint32_t slot = 0; slot < DEPTH; slot++) {
      if (!load->in_flight[slot]) begin(load, slot);
    }
    if (sleeps) {
      const int there = virtnvme_wait(&load->disk, WAIT_MS);
      if (there < 0) fail("the pair is gone");
      load->slept++;
    }
    while (virtnvme_poll(&load->disk, &result)) {
      end(load, &result);
      load->polled += !sleeps;
    }
  }
}

static bool input_ended(void) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  return poll(&input, 1, 0) > 0;
}

static void verify(const char *socket, uint32_t blocks) {
  static struct load load;
  char problem[512];
  load.blocks = blocks;
  load.versions = calloc(blocks, sizeof *load.versions);
  load.busy = calloc(blocks, sizeof *load.busy);
  if (load.versions == NULL || load.busy == NULL) fail("no memory");
  if (virtnvme_attach(&load.disk, socket, DEPTH + 1, DEPTH * BLOCK_BYTES, true, problem, sizeof problem) != 0) {
    fail(problem);
  }
  if (load.disk.segment->block_bytes != BLOCK_BYTES || atomic_load(&load.disk.segment->block_count) < blocks) {
    fail("another volume");
  }
  for (int turn = 0; turn < 2 || !input_ended(); turn++) {
    run(&load, turn % 2 == 1);
    if (turn == 1) {
      puts("running");
      fflush(stdout);
    }
  }
  virtnvme_detach(&load.disk);
  printf("ended=%" PRIu64 " polled=%d slept=%d\n", load.ended, load.polled > 0, load.slept > 0);
}

static void attach(const char *socket, bool write_access) {
  struct virtnvme disk;
  char problem[512];
  if (virtnvme_attach(&disk, socket, DEPTH + 1, DEPTH * BLOCK_BYTES, write_access, problem, sizeof problem) != 0) {
    fail(problem);
  }
  printf("read_only=%u\n", disk.segment->read_only);
  virtnvme_detach(&disk);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "layout") == 0) {
    print_layout();
  } else if (argc == 4 && strcmp(argv[1], "verify") == 0) {
    verify(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
  } else if (argc == 4 && strcmp(argv[1], "attach") == 0) {
    attach(argv[2], strcmp(argv[3], "write") == 0);
  } else {
    fail("usage: secondary layout | verify SOCKET BLOCKS | attach SOCKET read|write");
  }
  return 0;
}
