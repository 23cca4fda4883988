/**
 * What the HTML pages of our commands have in common: one file that is complete in itself, with
 * pictures in SVG. Any thread.
 */
package io.virtnvme.tools.page;
