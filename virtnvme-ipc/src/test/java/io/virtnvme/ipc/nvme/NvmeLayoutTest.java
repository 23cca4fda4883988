package io.virtnvme.ipc.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** The layouts are the specification's: a change here is a mistake. */
class NvmeLayoutTest {
  @Test
  void shouldKeepTheLayoutOfQueueEntries() {
    assertEquals(
        """
        submission queue entry
             0   1  opcode
             1   1  flags
             2   2  cid
             4   4  nsid
             8   4  cdw2
            12   4  cdw3
            16   8  mptr
            24   8  prp1
            32   8  prp2
            40   4  cdw10
            44   4  cdw11
            48   4  cdw12
            52   4  cdw13
            56   4  cdw14
            60   4  cdw15
            64      end
        """,
        SubmissionEntry.describe());
    assertEquals(
        """
        completion queue entry
             0   4  dw0
             4   4  dw1
             8   2  sqhd
            10   2  sqid
            12   2  cid
            14   2  status
            16      end
        """,
        CompletionEntry.describe());
    assertEquals(SubmissionEntry.ENTRY_LENGTH, 1 << SubmissionEntry.ENTRY_SHIFT);
    assertEquals(CompletionEntry.ENTRY_LENGTH, 1 << CompletionEntry.ENTRY_SHIFT);
  }

  @Test
  void shouldKeepTheLayoutOfDataPointers() {
    assertEquals(
        """
        SGL descriptor
             0   8  address
             8   4  length
            12   3  reserved
            15   1  type
            16      end
        """,
        SglDescriptor.describe());
    assertEquals(
        """
        dataset management range
             0   4  attributes
             4   4  length
             8   8  slba
            16      end
        """,
        DsmRange.describe());
  }

  @Test
  void shouldKeepTheLayoutOfTheRegisters() {
    assertEquals(
        """
        controller registers
             0   8  CAP
             8   4  VS
            12   4  INTMS
            16   4  INTMC
            20   4  CC
            24   4  reserved
            28   4  CSTS
            32   4  NSSR
            36   4  AQA
            40   8  ASQ
            48   8  ACQ
           104   4  CRTO
           108      end
        """,
        ControllerRegisters.describe());
    assertEquals(0x1000, Doorbells.BASE_OFFSET);
    assertEquals(0x18, Doorbells.sqTailOffset(3));
    assertEquals(0x1C, Doorbells.cqHeadOffset(3));
    assertEquals(3, Doorbells.queueId(0x1C));
    assertTrue(Doorbells.isCqHead(0x1C));
    assertFalse(Doorbells.isCqHead(0x18));
    assertEquals(0x10400, ControllerRegisters.version(1, 4, 0));
  }

  @Test
  void shouldKeepTheLayoutOfIdentifyData() {
    assertEquals(
        """
        identify controller
             0   2  vid
             2   2  ssvid
             4  20  sn
            24  40  mn
            64   8  fr
            77   1  mdts
            78   2  cntlid
            80   4  ver
            92   4  oaes
           111   1  cntrltype
           256   2  oacs
           258   1  acl
           259   1  aerl
           260   1  frmw
           261   1  lpa
           262   1  elpe
           263   1  npss
           266   2  wctemp
           268   2  cctemp
           320   2  kas
           512   1  sqes
           513   1  cqes
           516   4  nn
           520   2  oncs
           522   2  fuses
           525   1  vwc
           526   2  awun
           528   2  awupf
           536   4  sgls
           768 256  subnqn
          2048  32  psd0
          4096      end
        """,
        IdentifyController.describe());
    assertEquals(
        """
        identify namespace
             0   8  nsze
             8   8  ncap
            16   8  nuse
            24   1  nsfeat
            25   1  nlbaf
            26   1  flbas
            33   1  dlfeat
            48  16  nvmcap
            99   1  nsattr
           104  16  nguid
           120   8  eui64
           128   4  lbaf0
          4096      end
        """,
        IdentifyNamespace.describe());
  }

  @Test
  void shouldKeepTheLayoutOfLogPages() {
    assertEquals(
        """
        error information entry
             0   8  error_count
             8   2  sqid
            10   2  cid
            12   2  status
            14   2  location
            16   8  lba
            24   4  nsid
            64      end
        SMART / health log
             0   1  critical_warning
             1   2  temperature
             3   1  spare
             4   1  spare_threshold
            32  16  data_units_read
            48  16  data_units_written
            64  16  host_reads
            80  16  host_writes
           112  16  power_cycles
           128  16  power_on_hours
           144  16  unsafe_shutdowns
           160  16  media_errors
           176  16  error_entries
           512      end
        """,
        LogPage.describe());
  }

  @Test
  void shouldTakeTheWordsOfAnEntryApart() {
    final int dword0 = 0xBEEF_4102;
    assertEquals(0x02, SubmissionEntry.opcode(dword0));
    assertEquals(1, SubmissionEntry.fused(dword0));
    assertEquals(SubmissionEntry.PSDT_SGL, SubmissionEntry.psdt(dword0));
    assertEquals(0xBEEF, SubmissionEntry.commandId(dword0));
    assertEquals(0xBEEF_4002, SubmissionEntry.dword0(2, SubmissionEntry.PSDT_SGL, 0xBEEF));
    assertEquals(0xBEEF_0002, SubmissionEntry.dword0(2, 0xBEEF));

    final int dword3 = CompletionEntry.dword3(0xBEEF, Status.DO_NOT_RETRY | 0x285, true);
    assertEquals(0x850B_BEEF, dword3);
    assertEquals(0xBEEF, CompletionEntry.commandId(dword3));
    assertTrue(CompletionEntry.phase(dword3));
    assertEquals(Status.DO_NOT_RETRY | Status.COMPARE_FAILURE, CompletionEntry.status(dword3));
    assertEquals(0x0003_8001, CompletionEntry.dword2(0x8001, 3));
    assertEquals(0x8001, CompletionEntry.sqHead(0x0003_8001));
    assertEquals(3, CompletionEntry.sqId(0x0003_8001));

    final long word = SglDescriptor.word(-1, SglDescriptor.TYPE_LAST_SEGMENT);
    assertEquals(0x3000_0000_FFFF_FFFFL, word);
    assertEquals(0xFFFF_FFFFL, SglDescriptor.lengthBytes(word));
    assertEquals(SglDescriptor.TYPE_LAST_SEGMENT, SglDescriptor.type(word));
    assertEquals(5, SglDescriptor.subtype(0x3500_0000_0000_0000L));
    assertEquals(65536, IoCommand.blockCount(-1));
    assertEquals(4096, PrpEntry.bytesToPageEnd(0x1000));
    assertEquals(4, PrpEntry.bytesToPageEnd(0x1FFC));
  }

  @Test
  void shouldTakeAStatusApart() {
    final int status = Status.DO_NOT_RETRY | Status.MORE | Status.INVALID_INTERRUPT_VECTOR;
    assertEquals(0x6108, status);
    assertEquals(1, Status.type(status));
    assertEquals(8, Status.code(status));
    assertEquals(Status.INVALID_INTERRUPT_VECTOR, Status.typeAndCode(status));
  }
}
