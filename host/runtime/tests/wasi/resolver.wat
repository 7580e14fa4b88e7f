;; A resolver in text: the smallest component of the world, and some of WASI 0.2 for it to misuse.
(component
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $p (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $io-error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $stream (sub resource)))
    (alias outer 1 $io-error (type $outer))
    (export "error" (type $e (eq $outer)))
    (type $cases (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $failed (eq $cases)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $failed)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $output-stream (type $outer))
    (export "output-stream" (type $stream (eq $outer)))
    (export "get-stderr" (func (result (own $stream))))))

  ;; At 0 and 512 an answer without candidates, at 256 the last words, at 1024 what `describe` returns.
  (core module $Memory
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 4096))
    (data (i32.const 1024) "\40\04\00\00\04\00\00\00" "\50\04\00\00\05\00\00\00" "\00\00\00\00\00\00\00\00"
                           "\60\04\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00")
    (data (i32.const 0x440) "text")
    (data (i32.const 0x450) "1.0.0")
    (data (i32.const 0x460) "\68\04\00\00\03\00\00\00" "doi")
    (data (i32.const 256) "no such key\n")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $Memory))
  (alias core export $memory "memory" (core memory $bytes))
  (alias core export $memory "realloc" (core func $realloc))

  (core func $exit' (canon lower (func $exit "exit")))
  (core func $subscribe' (canon lower (func $clock "subscribe-duration")))
  (core func $block' (canon lower (func $poll "[method]pollable.block")))
  (core func $get-stderr' (canon lower (func $stderr "get-stderr")))
  (core func $write' (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory $bytes)))

  (core module $Main
    (import "memory" "memory" (memory 1))
    (import "wasi" "exit" (func $exit (param i32)))
    (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "wasi" "block" (func $block (param i32)))
    (import "wasi" "get-stderr" (func $get-stderr (result i32)))
    (import "wasi" "write" (func $write (param i32 i32 i32 i32)))
    (table $table 0 funcref)
    (func (export "describe") (result i32)
      ;; DESCRIBE
    )
    (func (export "resolve") (param i32) (result i32)
      ;; RESOLVE
    ))
  (core instance $main (instantiate $Main
    (with "memory" (instance $memory))
    (with "wasi" (instance
      (export "exit" (func $exit'))
      (export "subscribe" (func $subscribe'))
      (export "block" (func $block'))
      (export "get-stderr" (func $get-stderr'))
      (export "write" (func $write'))))))

  (type $field' (record (field "key" string) (field "value" string)))
  (export $field "field" (type $field'))
  (type $identifier' (record (field "scheme" string) (field "value" string)))
  (export $identifier "identifier" (type $identifier'))
  (type $query' (record
    (field "job" string) (field "attempt" u32) (field "deadline-ms" u32) (field "identifiers" (list $identifier))
    (field "title" (option string)) (field "authors" (list string)) (field "year" (option u16))
    (field "urls" (list string)) (field "landing-pages" (list string)) (field "failed-urls" (list string))
    (field "metadata" (option string))))
  (export $query "query" (type $query'))
  (type $kind' (enum "file" "landing-page"))
  (export $kind "candidate-kind" (type $kind'))
  (type $candidate' (record
    (field "url" string) (field "kind" $kind) (field "media-type" (option string))
    (field "version" (option string)) (field "license" (option string)) (field "host-type" (option string))
    (field "confidence" (option f32)) (field "extra" (list $field))))
  (export $candidate "candidate" (type $candidate'))
  (type $resolution' (record
    (field "candidates" (list $candidate)) (field "discovered" (list $identifier)) (field "extra" (list $field))))
  (export $resolution "resolution" (type $resolution'))
  (type $disposition' (enum "retry" "rate-limited" "give-up"))
  (export $disposition "disposition" (type $disposition'))
  (type $failure' (record
    (field "disposition" $disposition) (field "code" string) (field "message" string)
    (field "retry-after-ms" (option u64)) (field "upstream-status" (option u16))))
  (export $failure "failure" (type $failure'))
  (type $info' (record
    (field "name" string) (field "version" string) (field "summary" string) (field "takes" (list string))
    (field "hosts" (list string)) (field "settings" (list $field))))
  (export $info "info" (type $info'))

  (alias core export $main "describe" (core func $describe'))
  (alias core export $main "resolve" (core func $resolve'))
  (func $describe (result $info)
    (canon lift (core func $describe') (memory $bytes) (realloc $realloc)))
  (func $resolve (param "query" $query) (result (result $resolution (error $failure)))
    (canon lift (core func $resolve') (memory $bytes) (realloc $realloc)))
  (instance $resolver (export "describe" (func $describe)) (export "resolve" (func $resolve)))
  (export "gleaner:resolver/resolver@0.1.0" (instance $resolver)))
