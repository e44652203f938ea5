"""Which distribution has a module: data, made from what others keep.

The first table is ours: those of Kale 2.3.0 (`kale/common/imports.py`) and what notebooks use
beside them. The second is the mapping of pipreqs 0.5.0 (Apache-2.0, `pipreqs/mapping`) without
modules that it gives several distributions, names that say nothing (`models`, `src`), and those
whose name is that of the distribution. The third is `sys.stdlib_module_names` of Python 3.11, and
the modules that 3.9 to 3.14 have beside those.
"""

from functools import cache

OWN = """
    Bio:biopython Crypto:pycryptodome MySQLdb:mysqlclient OpenSSL:pyopenssl PIL:pillow
    Xlib:python-xlib apt: attr:attrs azure.ai.ml:azure-ai-ml azure.identity:azure-identity
    azure.storage.blob:azure-storage-blob azureml.core:azureml-core bs4:beautifulsoup4
    bson:pymongo community:python-louvain cv2:opencv-python dateutil:python-dateutil
    dns:dnspython docx:python-docx dotenv:python-dotenv faiss:faiss-cpu fitz:pymupdf
    git:gitpython google.api_core:google-api-core google.auth:google-auth
    google.cloud:google-cloud-core google.colab: google.genai:google-genai
    google.generativeai:google-generativeai google.oauth2:google-auth google.protobuf:protobuf
    googleapiclient:google-api-python-client gridfs:pymongo haiku:dm-haiku
    imblearn:imbalanced-learn jose:python-jose jwt:pyjwt kerastuner:keras-tuner
    kfp.kubernetes:kfp-kubernetes kfp.v2:kfp ldap:python-ldap magic:python-magic
    mpl_toolkits:matplotlib nacl:pynacl osgeo:gdal pkg_resources:setuptools pptx:python-pptx
    psycopg2:psycopg2-binary pylab:matplotlib pywt:pywavelets rest_framework:djangorestframework
    ruamel.yaml:ruamel.yaml serial:pyserial skimage:scikit-image sklearn:scikit-learn
    skopt:scikit-optimize sksurv:scikit-survival slugify:python-slugify
    snowflake.connector:snowflake-connector-python snowflake.snowpark:snowflake-snowpark-python
    sonnet:dm-sonnet talib:ta-lib tree:dm-tree umap:umap-learn usb:pyusb
    websocket:websocket-client win32com:pywin32 yaml:pyyaml zmq:pyzmq
"""
"""Module, or a part of a package that many distributions share, and its distribution."""

PIPREQS = """
    AFQ:pyafq AG_fft_tools:agpy ANSI:pexpect Adafruit:adafruit-libraries Asterisk:py-asterisk
    BB_jekyll_hook:bitbucket-jekyll-hook Banzai:banzai-ngs BeautifulSoupTests:beautifulsoup
    BioSQL:biopython BuildbotStatusShields:buildboteightstatusshields
    ComputedAttribute:extensionclass Cryptodome:pycryptodomex FSM:pexpect
    FiftyOneDegrees:51degrees-mobile-detector-v3-wrapper GeoBaseMain:geobasesdev
    GeoBases:geobasesdev Globals:zope2 HelpSys:zope2 Kittens:astro-kittens
    Levenshtein:python-levenshtein Lifetime:zope2 MethodObject:extensionclass OFS:zope2
    OpenGL:pyopengl Products:zope2 PyWCSTools:astlib Pyxides:astro-pyxis QtCore:pyside S3:s3cmd
    SCons:pystick Shared:zope2 Signals:zope2 Stemmer:pystemmer Testing:zope2
    TreeDisplay:documenttemplate WorkingWithDocumentConversion:aspose-pdf-java-for-python
    ZPublisher:zope2 ZServer:zope2 ZTUtils:zope2 aadb:auto-adjust-display-brightness
    abakaffe:abakaffe-cli abiosgaming:abiosgaming-py abiquo:abiquo-api abo:abo-generator
    abris_transform:abris abstract:abstract-jwrotator abu:abu-admin ac_flask:ac-flask-hipchat
    acg:anikom15 acted:acted-projects action:actionserver actionbar:actionbar-panel
    activehomed:afn activepapers:activepapers-py address_book:address-book-lansry adict:adict2
    adiumsh:adium-sh adkit:banner-ad-toolkit admin_tools:django-admin-tools
    adminishcategories:adminish-categories adminsortable:django-admin-sortable
    adspygoogle:adspygoogle-adwords advancedcaching:agtl adytum:adytum-pymonitor afpy:afpy-xap
    agatesql:agate-sql ageliaco:ageliaco-recipe-csvconfig agoraplex:agoraplex-themes-sphinx
    agsci:agsci-blognewsletter aiohs2:aio-hs2 aioroutes:aio-routes aios3:aio-s3
    airbrake:airbrake-flask airflow:apache-airflow akamai:edgegrid-python alation:alation-api
    alba_client:alba-client-python alburnum:alburnum-maas-client alchemyapi:alchemyapi-python
    alerta:alerta-server alexandria_upload:alexandria-upload-utils alibaba:alibaba-python-sdk
    aliyun:aliyun-python-sdk aliyuncli:alicloudcli aliyunsdkacs:aliyun-python-sdk-acs
    aliyunsdkbatchcompute:aliyun-python-sdk-batchcompute aliyunsdkbsn:aliyun-python-sdk-bsn
    aliyunsdkbss:aliyun-python-sdk-bss aliyunsdkcdn:aliyun-python-sdk-cdn
    aliyunsdkcms:aliyun-python-sdk-cms aliyunsdkcore:aliyun-python-sdk-core
    aliyunsdkcrm:aliyun-python-sdk-crm aliyunsdkcs:aliyun-python-sdk-cs
    aliyunsdkdrds:aliyun-python-sdk-drds aliyunsdkecs:aliyun-python-sdk-ecs
    aliyunsdkess:aliyun-python-sdk-ess aliyunsdkft:aliyun-python-sdk-ft
    aliyunsdkmts:aliyun-python-sdk-mts aliyunsdkocs:aliyun-python-sdk-ocs
    aliyunsdkoms:aliyun-python-sdk-oms aliyunsdkossadmin:aliyun-python-sdk-ossadmin
    aliyunsdkr-kvstore:aliyun-python-sdk-r-kvstore aliyunsdkram:aliyun-python-sdk-ram
    aliyunsdkrds:aliyun-python-sdk-rds aliyunsdkrisk:aliyun-python-sdk-risk
    aliyunsdkros:aliyun-python-sdk-ros aliyunsdkslb:aliyun-python-sdk-slb
    aliyunsdksts:aliyun-python-sdk-sts aliyunsdkubsms:aliyun-python-sdk-ubsms
    aliyunsdkyundun:aliyun-python-sdk-yundun allattachments:allattachmentsmacro
    allocine:allocine-wrapper allowedsites:django-allowedsites alm:alm-solrindex aloft:aloft-py
    alpacalib:alpaca alphabetic:alphabetic-simple alphasms:alphasms-client
    altered:altered-states alurinium:alurinium-image-processing alxlib:alx
    ambilight:ambilightparty amifs:amifs-core amiorganizer:ami-organizer amltlearn:amlt-learn
    amocrm:amocrm-api amqpdispatcher:amqp-dispatcher amqpstorm:amqp-storm
    analytics:analytics-python analyzedir:analyzedirectory
    ancientsolutions:ancientsolutions-crypttools android_clean_app:android-resource-remover
    anel_power_control:anelpowercontrol angus:angus-sdk-python annalist_root:annalist
    annogesiclib:annogesic ansibledebugger:ansible-playbook-debugger
    ansibledocgen:ansible-docgen ansibleflow:ansible-flow
    ansibleinventorygrapher:ansible-inventory-grapher ansiblelint:ansible-lint
    ansiblerolesgraph:ansible-roles-graph ansibletools:ansible-tools antisphinx:antiweb
    antispoofing:antispoofing-evaluation apiclient:google-api-python-client
    apitools:google-apitools apm:arpm app_data:django-appdata appconf:django-appconf
    appium:appium-python-client appliapps:applibase appserver:broadwick arm:ansible-role-manager
    armor:armor-api artifactcli:artifact-cli arvados:arvados-python-client
    arvados_cwl:arvados-cwl-runner arvnodeman:arvados-node-manager asana_to_github:asanatogithub
    asciibinary:asciibinaryconverter asd:advancedsearchdiscovery asnhistory:asnhistory-redis
    aspen_jinja2_renderer:aspen-jinja2 aspen_tornado_engine:aspen-tornado
    asprise_ocr_api:asprise-ocr-sdk-python-api asterisk:asterisk-ami asts:add-asts
    asyncirc:asyncio-irc asyncmongoorm:asyncmongoorm-je asyncssh:asyncssh-unofficial
    athletelist:athletelistyy atm:automium atmosphere:atmosphere-python-client atom:gdata
    atomic:atomicwrite atsim:atsim-potentials attractsdk:attract-sdk aufrefer:auf-refer
    auslfe:auslfe-formonline-content auspost:auspost-apis auth0:auth0-python
    auth_server_client:authserverclient authorize:authorizesauce authzpolicy:authzpolicyplugin
    autobahn:autobahn-rce avatar:geonode-avatar awebview:android-webview
    b2gcommands:b2g-commands babelglade:babelgladeextractor backplane:backplane2-pyclient
    backport_abcoll:backport-collections badgekit:badgekit-api-client badlinks:badlinksplugin
    bael:bael-project baidu:baidupy balrog:buildtools baluhn:baluhn-redux bang:bangtext
    barcode:barcode-generator bark:bark-ssg barking_owl:barkingowl bart:bart-py
    basalt:basalt-tasks base62:base-62 basemap:basemap-jim bash:bash-toolbelt
    bashutils:python-bash-utils basic_http:basichttp basil:basil-daq batchapps:azure-batch-apps
    bcrypt:python-bcrypt beetsplug:beets begin:begins benchit:bench-it beproud:beproud-utils
    bfillings:burrito-fillings billboard:billboard-py binstar_build_client:anaconda-build
    binstar_client:anaconda-client biocommons:biocommons-dev blender26-meshio:pymeshio
    bootstrap:bigjob borg:borg-localrole bow:bagofwords bpdb:bpython bqapi:bisque-api
    braces:django-braces briefscaster:briefs-caster
    brisa_media_server/plugins:brisa-media-server-plugins brkt_requests:brkt-sdk
    broadcastlogging:broadcast-logging brocadetool:brocade-tool bronto:bronto-python
    browsermobproxy:browsermob-proxy brubeckmysql:brubeck-mysql brubeckoauth:brubeck-oauth
    brubeckservice:brubeck-service brubeckuploader:brubeck-uploader btable:btable-py
    btapi:bananatag-api btceapi:btce-api btcebot:btce-bot btsync:btsync-py buck:buck-pprint
    bud:bud-nospam budy:budy-api buffer:buffer-alpaca buggd:bug-gd bugle:bugle-sites
    bugspots:bug-spots bugzilla:python-bugzilla bugzscout:bugzscout-py
    buildTools:ajk-ios-buildtools buildnotifylib:buildnotify buildslave:buildbot-slave
    bumper:bumper-lib bumple:bumple-downloader bundesliga:bundesliga-cli
    bundlemaker:bundlemanager burpui:burp-ui busyflow:busyflow-pivotal buzz:buzz-python-client
    bvc:buildout-versions-checker bvggrabber:bvg-grabber byond:byondtools bzETL:bugzilla-etl
    bzlib:bugzillatools cache_utils:django-cache-utils captcha:django-recaptcha
    cassandra:cassandra-driver cc42:42qucc cfnlint:cfn-lint charmtools:charm-tools chef:pychef
    chip8:c8d cjson:python-cjson classytags:django-classy-tags cloghandler:concurrentloghandler
    clonevirtualenv:virtualenv-clone cloud-insight:al-cloudinsight cloud_admin:adminapi
    cloudservers:python-cloudservers clusterconsole:cerebrod clustersitter:cerebrod
    cms:django-cms colander:ba-colander colors:ansicolors compile:bf-lc3 compose:docker-compose
    compressor:django-compressor constraint:python-constraint contracts:pycontracts
    coordination:bigjob corebio:weblogo couchdbcurl:couchdb-python-curl
    courseradownloader:coursera-dl cow:cow-framework creole:python-creole
    crispy_forms:django-crispy-forms cronlog:python-crontab crontab:python-crontab ctff:tff
    cups:pycups curator:elasticsearch-curator curl:pycurl daemon:python-daemon
    deb822:python-debian debian:python-debian decouple:python-decouple demosongs:pysynth
    deployer:juju-deployer depot:filedepot devtools:tg-devtools dgis:2gis
    dhtmlparser:pydhtmlparser digitalocean:python-digitalocean discord:discord-py
    distribute_setup:ez-setup django_hstore:amitu-hstore djangobower:django-bower
    djcelery:django-celery djkombu:django-kombu djorm_pgarray:djorm-ext-pgarray
    docgen:ansible-docgenerator docker:docker-py dogshell:dogapi dpkt:dpkt-fix dsml:python-ldap
    durationfield:django-durationfield dzclient:datazilla easybuild:easybuild-framework
    editor:python-editor elftools:pyelftools em:empy emlib:empy enchant:pyenchant
    encutils:cssutils engineio:python-engineio ephem:pyephem errorreporter:abl-errorreporter
    esplot:beaker-es-plot example:adrest ez_setup:pycassa fabfile:fabric fdpexpect:pexpect
    fedora:python-fedora fias:ailove-django-fias fiftyone_degrees:51degrees-mobile-detector
    flasher:android-flasher flask_frozen:frozen-flask flask_redis:flask-and-redis
    flaskext:flask-bcrypt flvscreen:vnc2flv followit:django-followit forge:pyforge
    formtools:django-formtools fourch:4ch franz:allegrordf freetype:freetype-py
    frontmatter:python-frontmatter ftpcloudfs:ftp-cloudfs functional:pyfunctional
    funtests:librabbitmq fuse:fusepy gabbi:tiddlyweb gen_3dwallet:3d-wallet-generator
    gendimen:android-gendimen geohash:python-geohash geoserver:gsconfig getenv:django-getenv
    geventwebsocket:gevent-websocket gflags:python-gflags github:pygithub github3:github3-py
    gitpy:git-py globusonline:globusonline-transfer-api-client
    grammar:anovelmous-grammar grapheneapi:graphenelib greplin:scales
    grokcore:grokcore-component gslib:gsutil hamcrest:pyhamcrest
    hawk:pyhawk-with-a-single-extra-commit haystack:django-haystack hgext:mercurial hggit:hg-git
    hglib:python-hglib ho:pisa hola:amarokhola hostlist:python-hostlist
    htmloutput:nosehtmloutput hvad:django-hvad hydra:hydra-core i99fix:199fix
    igraph:python-igraph imdb:imdbpy impala:impyla inmemorystorage:ambition-inmemorystorage
    jiracli:jira-cli johnny:johnny-cache jpgrid:python-geohash jpiarea:python-geohash
    jpype:jpype1 jpypex:jpype1 jsonfield:django-jsonfield jstools:aino-jstools
    jupyterpip:jupyter-pip kazoo:asana-kazoo kernprof:line-profiler keyczar:python-keyczar
    keyedcache:django-keyedcache keystoneclient:python-keystoneclient kickstarter:kickstart
    kss:kss-core langconv:advancedlangconv lava:lava-utils-interface ldaplib:adpasswd
    ldapurl:python-ldap ldif:python-ldap lib2or3:2or3 lib3to2:3to2 libaito:aito
    libbe:bugs-everywhere libbucket:bucket libcloud:apache-libcloud libfuturize:future
    libgenerateDS:generateds libmproxy:mitmproxy libpasteurize:future libsvm:7lk-ocr-deploy
    lisa:lisa-server loadingandsaving:aspose-words-java-for-python locust:locustio
    logentries:buildbot-status-logentries logilab:logilab-mtconverter machineconsole:cerebrod
    machinesitter:cerebrod manifestparser:manifestdestiny marionette:marionette-client
    marks:pytest-marks mavnative:pymavlink memcache:python-memcached metacomm:allpairs
    metaphone:metafone metlog:metlog-py migrate:sqlalchemy-migrate mimeparse:python-mimeparse
    missingdrawables:android-missingdrawables mixfiles:pysynth mkfreq:pysynth
    mkrst_themes:2lazy2rest mockredis:mockredispy modargs:python-modargs
    model_utils:django-model-utils moneyed:py-moneyed mptt:django-mptt mpv:python-mpv
    mrbob:mr-bob msgpack:msgpack-python mutations:aino-mutations mws:amazon-mws
    mysql:mysql-connector-repackaged native_tags:django-native-tags ndg:ndg-httpsclient
    nereid:trytond-nereid nested:baojinhuan novaclient:python-novaclient
    oauth2_provider:alauda-django-oauth odf:odfpy ometa:parsley openid:python-openid
    opensearchsdk:ali-opensearch output:cashew packetdiag:nwdiag paho:paho-mqtt
    paintstore:django-paintstore parler:django-parler past:future paste:pastescript
    patricia:patricia-trie peak:proxytypes picasso:anderson-picasso
    picklefield:django-picklefield pilot:bigjob pivotal:pivotal-py play_wav:pysynth
    playhouse:peewee plivoxml:plivo plonetheme:plonetheme-barceloneta png:pypng
    polymorphic:django-polymorphic postmark:python-postmark powerprompt:bash-powerprompt
    prefetch:django-prefetch printList:andrewlist provider:django-oauth2-provider
    puresasl:pure-sasl pwiz:peewee pxssh:pexpect py7zlib:pylzma pyAMI:pyami-core
    pyarsespyder:arsespyder pyasdf:asdf pyaspell:aspell-python-ctypes pybb:pybbm
    pybloomfilter:pybloomfiltermmap pycrfsuite:python-crfsuite pydispatch:pydispatcher
    pygeolib:pygeocoder pygraph:python-graph-core pyjon:pyjon-utils pyjsonrpc:python-jsonrpc
    pylons:adhocracy-pylons pymagic:libmagic pymycraawler:amalwebcrawler pynma:abakaffenotifier
    pyrimaa:aei pysideuic:pyside pysynth_b:pysynth pysynth_beeper:pysynth pysynth_c:pysynth
    pysynth_d:pysynth pysynth_e:pysynth pysynth_p:pysynth pysynth_s:pysynth pysynth_samp:pysynth
    pythongettext:python-gettext pythonjsonlogger:python-json-logger pyximport:cython qs:qserve
    quadtree:python-geohash quickapi:django-quickapi quickunit:nose-quickunit rackdiag:nwdiag
    reStructuredText:zope2 readability:readability-lxml recaptcha_works:django-recaptcha-works
    reportapi:django-reportapi requirements:requirements-parser restclient:py-restclient
    retrial:async-retrial reversion:django-reversion rhaptos2:rhaptos2-common
    robot:robotframework robots:django-robots rosdep2:rosdep rsbackends:rsfile
    ruamel:ruamel-base s2repoze:pysaml2 saga:saga-python saml2:pysaml2
    samtranslator:aws-sam-translator sass:libsass sassc:libsass sasstests:libsass
    sassutils:libsass sayhi:alex-sayhi scalrtools:scalr scikits:scikits-talkbox
    scratch:scratchpy screen:pexpect scss:pyscss sdict:dict-sorted
    sdk_updater:android-sdk-updater sekizai:django-sekizai sendfile:pysendfile setuputils:astor
    shapefile:pyshp sika:ahonya-sika singleton:pysingleton sittercommon:cerebrod
    skbio:scikit-bio slack:slackclient smarkets:smk-python-sdk snappy:ctypes-snappy
    socketio:python-socketio sockjs:sockjs-tornado socks:socksipy-branch solr:solrpy
    sorl:sorl-thumbnail sphinx_pypi_upload:atd-document
    sphinxcontrib:sphinxcontrib-programoutput stats_toolkit:bw-stats-toolkit
    statsd:dogstatsd-python stdnum:python-stdnum storages:django-storages stubout:mox
    suds:suds-jurko swiftclient:python-swiftclient sx:pisa tabix:pytabix taggit:django-taggit
    tasksitter:cerebrod tastypie:django-tastypie teamcity:teamcity-messages
    telebot:pytelegrambotapi telegram:python-telegram-bot termstyle:python-termstyle
    thclient:treeherder-client threaded_multihost:django-threaded-multihost
    threecolor:3color-press tidylib:pytidylib tlw:3lwg toredis:toredis-fork
    tornadoredis:tornado-redis tower_cli:ansible-tower-cli tracopt:trac
    translation_helper:android-localization-helper treebeard:django-treebeard
    trytond:trytond-stock tsuru:tsuru-circus tvrage:python-tvrage twitter:python-twitter
    txclib:transifex-client u115:115wangpan universe:ansible-universe useless:useless-pipes
    userpass:auth-userpass utilities:automakesetup-py utkik:aino-utkik uwsgidecorators:uwsgi
    valentine:ab validate:configobj version:chartio virtualenvapi:ar-virtualenv-api
    vyatta:brocade-plugins webdav:zope2 weblogolib:weblogo wikklytext:tiddlywebwiki
    winrm:pywinrm workflow:alfred-workflow wsmeext:wsme wtfpeewee:wtf-peewee xdg:pyxdg
    xdist:pytest-xdist xmldsig:pysaml2 xmlenc:pysaml2 xmpp:xmpppy zopyx:zopyx-textindexng3
"""
"""The same, from pipreqs."""

STANDARD = """
    __future__ abc aifc annotationlib antigravity argparse array ast asynchat asyncio asyncore
    atexit audioop base64 bdb binascii binhex bisect builtins bz2 cProfile calendar cgi cgitb
    chunk cmath cmd code codecs codeop collections colorsys compileall compression concurrent
    configparser contextlib contextvars copy copyreg crypt csv ctypes curses dataclasses
    datetime dbm decimal difflib dis distutils doctest email encodings ensurepip enum errno
    faulthandler fcntl filecmp fileinput fnmatch formatter fractions ftplib functools gc
    genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html http
    idlelib imaplib imghdr imp importlib inspect io ipaddress itertools json keyword lib2to3
    linecache locale logging lzma macpath mailbox mailcap marshal math mimetypes mmap
    modulefinder msilib msvcrt multiprocessing netrc nis nntplib nt ntpath nturl2path numbers
    opcode operator optparse os ossaudiodev parser pathlib pdb pickle pickletools pipes pkgutil
    platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr
    pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource rlcompleter runpy
    sched secrets select selectors shelve shlex shutil signal site smtpd smtplib sndhdr socket
    socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics string
    stringprep struct subprocess sunau symbol symtable sys sysconfig syslog tabnanny tarfile
    telnetlib tempfile termios textwrap this threading time timeit tkinter token tokenize
    tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest
    urllib uu uuid venv warnings wave weakref webbrowser winreg winsound wsgiref xdrlib xml
    xmlrpc zipapp zipfile zipimport zlib zoneinfo
"""
"""The modules of the standard library, of any version of Python that a step may have."""

COMPANIONS = """
    accelerate:torch captum:torch catboost:scikit-learn dask:distributed dask:pandas datasets:jax
    datasets:tensorflow datasets:torch duckdb:pandas duckdb:polars duckdb:pyarrow evaluate:torch
    google-cloud-bigquery:db-dtypes google-cloud-bigquery:pandas h2o:pandas imbalanced-learn:pandas
    influxdb-client:pandas keras:jax keras:tensorflow keras:torch lightgbm:pandas mlflow:lightgbm
    mlflow:tensorflow mlflow:torch mlflow:xgboost networkx:numpy networkx:pandas networkx:scipy
    onnxmltools:lightgbm onnxmltools:xgboost optuna:pandas pandas:fastparquet pandas:fsspec
    pandas:gcsfs pandas:numexpr pandas:psycopg2-binary pandas:pyarrow pandas:pymysql pandas:s3fs
    pandas:xlrd pandas:xlsxwriter peft:torch pillow:numpy plotly:kaleido plotly:numpy plotly:pandas
    polars:numpy polars:pandas polars:pyarrow pyarrow:numpy pyarrow:pandas pyspark:pandas
    pyspark:pyarrow ray:pandas scikit-learn:pandas scikit-learn:polars sentence-transformers:torch
    shap:tensorflow shap:torch skl2onnx:lightgbm skl2onnx:xgboost snowflake-connector-python:pandas
    sqlalchemy:psycopg2-binary sqlalchemy:pymysql tensorflow-datasets:pandas
    tensorflow:tensorflow-text torch:numpy torchvision:pillow transformers:accelerate
    transformers:jax transformers:sentencepiece transformers:tensorflow transformers:torch
    umap-learn:pandas xarray:dask xarray:netcdf4 xgboost:pandas
"""
"""Distributions, and others that they use where the notebook has these: optional dependencies."""

NEEDED = """
    lightgbm:scikit-learn networkx.draw:matplotlib pandas.boxplot:matplotlib pandas.hist:matplotlib
    pandas.plot:matplotlib pandas.read_excel:openpyxl pandas.read_feather:pyarrow
    pandas.read_hdf:tables pandas.read_html:lxml pandas.read_orc:pyarrow
    pandas.read_parquet:pyarrow pandas.read_sql:sqlalchemy pandas.read_xml:lxml
    pandas.to_excel:openpyxl pandas.to_feather:pyarrow pandas.to_hdf:tables
    pandas.to_markdown:tabulate pandas.to_parquet:pyarrow pandas.to_sql:sqlalchemy
    scikit-learn.from_estimator:matplotlib scikit-learn.from_predictions:matplotlib
    scikit-learn.plot_tree:matplotlib xgboost.plot_importance:matplotlib
    lightgbm.plot_importance:matplotlib xgboost:scikit-learn
"""
"""Distributions, or methods of theirs, and others that they miss only when they are called."""


@cache
def standard_modules() -> frozenset[str]:
    """The modules that come with Python."""
    return frozenset(STANDARD.split())
